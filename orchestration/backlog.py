"""The queues of one fleet as one: what waits in them, and which jobs were taken back from the dead.

Knows queues, not workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastflow_ray.queue.contract import JobQueue, QueueDepth
from fastflow_ray.queue.limits import GRACE_S
from fastflow_ray.queue.reaper import Reaper

COUNTS = ("queued", "delayed", "running", "succeeded", "dead", "cancelled", "submitted")


class Backlog:
    """One queue per model; every method may raise QueueUnavailable."""

    def __init__(self, queues: Sequence[JobQueue], grace_s: float = GRACE_S) -> None:
        self._queues = list(queues)
        self._reapers = [Reaper(queue, grace_s) for queue in queues]

    def reap(self) -> set[str]:
        """Look once for jobs whose workers have died; answers the ids of those that were taken from them."""
        return {reaped.seen.job_id for reaper in self._reapers for reaped in reaper.tick()}

    def depths(self) -> dict[str, QueueDepth]:
        """By model."""
        return {queue.name: queue.depth() for queue in self._queues}


def total(depths: Iterable[QueueDepth]) -> QueueDepth:
    """All jobs by state; the longest wait of any; paused if no queue gives out a job, with the first one's reason."""
    each = list(depths)
    sums = {count: sum(getattr(depth, count) for depth in each) for count in COUNTS}
    oldest_s = max((depth.oldest_queued_age_s for depth in each), default=0.0)
    reasons = [depth.paused for depth in each]
    paused = reasons[0] if reasons and all(reasons) else None
    return QueueDepth(**sums, oldest_queued_age_s=oldest_s, paused=paused)
