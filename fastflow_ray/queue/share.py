"""What one tenant may take of a queue. A value; knows no queue."""

from __future__ import annotations

from dataclasses import dataclass

from fastflow_ray.errors import InvalidInput

EVERYBODY = "*"  # stands for all tenants without a share of their own
MOST_JOBS = 10**15  # a limit may say; those that are above 2^53 are no whole numbers to the scripts in Redis


@dataclass(frozen=True)
class Share:
    """Set by the operator; what is None is what `EVERYBODY` has, and unlimited or 1 if that says nothing either."""

    weight: float | None = None  # of two tenants in one lane, that of weight 2 is served twice the work
    max_running: int | None = None  # jobs at a time; 0 stops the tenant
    max_queued: int | None = None  # queued and delayed; beyond: QueueFull

    def __post_init__(self) -> None:
        if self.weight is not None and not 0.001 <= self.weight <= 1000:
            raise InvalidInput(f"weight: {self.weight:g} is not between 0.001 and 1000; the usual one is 1")
        for name in ("max_running", "max_queued"):
            limit = getattr(self, name) or 0
            if limit < 0:
                raise InvalidInput(f"{name}: too small; 0 allows nothing, and leaving it out allows everything")
            if limit > MOST_JOBS:
                raise InvalidInput(f"{name}: too large; at most {MOST_JOBS}, and leaving it out allows everything")
