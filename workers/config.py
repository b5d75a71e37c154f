"""What one worker has to be told before it starts; plain values that travel to another machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerConfig:
    """One worker of one model."""

    name: str
    model: str  # of the catalogue; also its queue's name
    redis_url: str
    store_url: str
    lease_s: float = 60.0  # a job belongs to its worker this long after the last beat
    beat_s: float = 10.0  # between two beats
    stall_s: float = 300.0  # without a step for so long, the worker stops beating
    statistics_actor: str | None = None  # the name of the fleet's arm statistics; None: learn alone
    namespace: str | None = None  # Ray's, of the worker and of the statistics
