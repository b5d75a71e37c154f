"""The queues of one fleet as one: what waits in them, and which jobs were taken back from the dead.

Knows queues, not workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobQueue, QueueDepth
from fastflow_ray.queue.limits import GRACE_S
from fastflow_ray.queue.reaper import Reaper
from fastflow_ray.queue.worker_card import RESTING, WorkerCard

CARD_S = 10.0  # a card that is laid down at every tick is good for
COUNTS = ("queued", "delayed", "running", "succeeded", "dead", "cancelled", "submitted", "bygone")


class Backlog:
    """One queue per model; every method may raise QueueUnavailable."""

    def __init__(
        self, queues: Sequence[JobQueue], grace_s: float = GRACE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queues = list(queues)
        self._reapers = [Reaper(queue, grace_s, clock) for queue in queues]
        self._taken: set[str] = set()  # since the last answer

    def reap(self) -> set[str]:
        """Look once for jobs whose workers have died; answers the ids of those that were taken from them since the
        last answer, for a look may fail in the middle."""
        try:
            for reaper in self._reapers:
                self._taken |= {reaped.seen.job_id for reaped in reaper.tick()}
        except QueueUnavailable:
            for reaper in self._reapers:  # those that were not asked would take the outage for silence
                reaper.forget()
            raise
        taken, self._taken = self._taken, set()
        return taken

    def runs_at(self, worker: str, job_id: str) -> bool:
        """Whether that worker has the job by a claim that nobody took from it."""
        records = [queue.get(job_id) for queue in self._queues]
        return any(one and one.state is JobState.RUNNING and one.worker == worker for one in records)

    def show_resting(self, machines: Mapping[str, str]) -> None:
        """Lay down a card for each machine that gets no workers, with why, beside those of the workers."""
        for queue in self._queues:
            for machine, why in machines.items():
                queue.sign_in(WorkerCard(machine, state=RESTING, why=why), CARD_S)

    def depths(self) -> dict[str, QueueDepth]:
        """By model."""
        return {queue.name: queue.depth() for queue in self._queues}


def total(depths: Iterable[QueueDepth]) -> QueueDepth:
    """All jobs by state, and the longest wait of any."""
    each = list(depths)
    sums = {count: sum(getattr(depth, count) for depth in each) for count in COUNTS}
    oldest_s = max((depth.oldest_queued_age_s for depth in each), default=0.0)
    return QueueDepth(**sums, oldest_queued_age_s=oldest_s)


def demand(depths: Iterable[QueueDepth]) -> QueueDepth:
    """The total as it calls for workers: what a paused queue holds back counts as if it waited for its time, for one
    worker is enough to look for the results of jobs whose workers died."""
    return total(_held_back(depth) if depth.paused else depth for depth in depths)


def _held_back(depth: QueueDepth) -> QueueDepth:
    return replace(depth, queued=0, delayed=depth.delayed + depth.queued, oldest_queued_age_s=0.0)
