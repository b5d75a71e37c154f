"""What one worker has to be told before it starts; plain values that travel to another machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastflow_ray.models.card import ModelCard
from fastflow_ray.queue.limits import BEAT_S, LEASE_S, RESULT_TTL_S, STALL_S


@dataclass(frozen=True)
class WorkerConfig:
    """One worker of one GPU."""

    name: str
    models: tuple[str, ...]  # of the catalogue; also their queues' names. The first one is loaded first
    redis_url: str = field(repr=False)  # may hold a password
    store_url: str
    lease_s: float = LEASE_S
    beat_s: float = BEAT_S
    stall_s: float = STALL_S
    result_ttl_s: float = RESULT_TTL_S
    statistics_actor: str | None = None  # the name of the fleet's arm statistics; None: learn alone
    namespace: str | None = None  # Ray's, of the worker and of the statistics
    own: tuple[ModelCard, ...] = ()  # of those models that do not come with fastflow-ray
