"""What a fleet is to be: plain values that all its actors get, and the names they find each other by."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.card import ModelCard
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.limits import BEAT_S, GRACE_S, LEASE_S, MAX_CRASHES, RESULT_TTL_S, STALL_S
from fastflow_ray.storage import open_store
from orchestration.autoscale import Limits
from workers.config import WorkerConfig

NAMESPACE = "fastflow"  # Ray's; all fleets of one cluster share it
# The fields that are settings too.
SETTINGS = {"lease_s", "beat_s", "grace_s", "stall_s", "max_crashes", "result_ttl_s"}


@dataclass(frozen=True)
class FleetPlan:
    """Its models, where their jobs come from and their videos go, and how many workers there may be for all of them.

    Every worker serves every model and rather stays with the one it holds. Raises InvalidInput without a model.
    """

    models: tuple[str, ...]  # of the catalogue; also their queues' names. Workers load the first one first
    redis_url: str = field(repr=False)  # may hold a password
    store_url: str
    limits: Limits
    lease_s: float = LEASE_S
    beat_s: float = BEAT_S
    grace_s: float = GRACE_S
    stall_s: float = STALL_S
    max_crashes: int = MAX_CRASHES  # workers that may die on a job before it counts as what killed them
    result_ttl_s: float = RESULT_TTL_S
    own: tuple[ModelCard, ...] = ()  # of those models that do not come with fastflow-ray: a worker knows the others
    place: str = ""  # tells its workers from those of a fleet elsewhere that serves the same queues

    def __post_init__(self) -> None:
        if not self.models or len(set(self.models)) < len(self.models):
            raise InvalidInput(f"a fleet serves one model or several, each named once, not {list(self.models)}")

    def check(self) -> None:
        """Raise InvalidInput unless queues and store have URLs one can make something of; asks none of them."""
        for model in self.models:
            open_queue(self.redis_url, model).close()
        open_store(self.store_url).close()

    @property
    def name(self) -> str:
        """The fleet's: its models', in whatever order they were given."""
        return "+".join(sorted(self.models))

    @property
    def statistics_name(self) -> str:
        """The statistics actor."""
        return f"{self.name}-statistics"

    @property
    def supervisor_name(self) -> str:
        """The supervisor."""
        return f"{self.name}-supervisor"

    @property
    def worker_prefix(self) -> str:
        """The names of all its workers begin so, wherever it was when they were made: a supervisor that starts anew
        finds those it has."""
        return f"{self.name}-worker-"

    @property
    def worker_suffix(self) -> str:
        """After their number. Queues and cards know a worker by its name alone."""
        return f"@{self.place}" if self.place else ""

    def worker(self, name: str) -> WorkerConfig:
        """What a worker of this name is told."""
        return WorkerConfig(
            name=name,
            models=self.models,
            redis_url=self.redis_url,
            store_url=self.store_url,
            lease_s=self.lease_s,
            beat_s=self.beat_s,
            stall_s=self.stall_s,
            result_ttl_s=self.result_ttl_s,
            statistics_actor=self.statistics_name,
            namespace=NAMESPACE,
            own=self.own,
        )
