"""How many workers a fleet should have: a pure function of a few numbers.

    work   = queued + running
    need   = workers that do this work within `drain_s`: at most one per job, at least one while there is any
    wanted = the need now, or the highest need of the last `patience_s` as far as those workers are already there

Adding workers does not change the work, so the need never chases itself; shrinking waits out the window, so no worker
leaves and returns within it. Knows nothing of Ray, Redis or clocks, nor of which worker has to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput


@dataclass(frozen=True)
class Load:
    """What there is to do, and who is there to do it."""

    queued: int = 0  # jobs ready for any worker
    delayed: int = 0  # jobs waiting for their time; only a worker takes them up when it comes
    running: int = 0  # jobs under a lease
    oldest_age_s: float = 0.0  # how long the first in the queue has waited
    job_s: float | None = None  # worker seconds per job; None: none has ended yet
    workers: int = 0  # workers there or on their way
    recent_need: int = 0  # highest need within the last `patience_s`


@dataclass(frozen=True)
class Limits:
    """What the operator allows."""

    floor: int = 0  # workers kept with nothing to do
    ceiling: int = 1  # workers never exceeded
    drain_s: float = 60.0  # a backlog should be done within this time
    patience_s: float = 60.0  # fewer workers must have sufficed for so long before the pool shrinks

    def __post_init__(self) -> None:
        if self.ceiling < 1:
            raise InvalidInput(f"a ceiling of {self.ceiling} lets no worker make a video; give 1 or more")
        if self.floor < 0:
            raise InvalidInput(f"a floor of {self.floor} workers is less than none; give 0 or more")
        if self.floor > self.ceiling:
            raise InvalidInput(
                f"a floor of {counted(self.floor, 'worker')} is above the ceiling of {self.ceiling};"
                f" lower the floor to {self.ceiling}, or raise the ceiling to {self.floor}"
            )


def workers_needed(load: Load, limits: Limits) -> int:
    """Workers the work itself calls for, between floor and ceiling."""
    waiting_for_time = 1 if load.delayed else 0
    return min(max(_need(load, limits.drain_s), waiting_for_time, limits.floor), limits.ceiling)


def workers_wanted(load: Load, limits: Limits) -> int:
    """Workers there should be: grows at once, shrinks when the need has stayed low; floor <= answer <= ceiling."""
    kept = min(load.workers, load.recent_need, limits.ceiling)
    return max(workers_needed(load, limits), kept)


def _need(load: Load, drain_s: float) -> int:
    work = load.queued + load.running
    late = load.queued > 0 and load.oldest_age_s > drain_s  # jobs take longer than was thought
    if load.job_s is None or late:
        return work
    return min(work, max(1, ceil(work * load.job_s / drain_s)))
