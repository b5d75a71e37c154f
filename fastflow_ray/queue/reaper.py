"""Takes jobs from workers that have died, and only from those. Knows the queue's contract and its own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import Expired, JobQueue
from fastflow_ray.queue.limits import GRACE_S


@dataclass(frozen=True)
class Reaped:
    """What the reaper did about one lease."""

    seen: Expired
    state: JobState  # queued, to be made again or only to be looked for; dead or cancelled if that had been done


class Reaper:
    """Two looks at every lease that ran out, a grace apart.

    After the server's clock jumps, or after it was away, every lease looks expired though every worker lives. So a
    job is taken only if nothing moved between two looks, measured by a clock that cannot jump: a single heartbeat
    starts the grace anew, since it makes another `Expired`. The grace has to exceed two beats plus the longest pause
    of a reconnecting worker. Any number of reapers may watch one queue: only one wins the compare-and-set.
    """

    def __init__(self, queue: JobQueue, grace_s: float = GRACE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._grace_s = grace_s
        self._clock = clock
        self._first_seen_s: dict[Expired, float] = {}

    def tick(self) -> Sequence[Reaped]:
        """Look once; call it every few seconds. Raises QueueUnavailable, after which every grace starts anew."""
        try:
            return self._look()
        except QueueUnavailable:
            self.forget()
            raise

    def forget(self) -> None:
        """The server was away, and the workers could not beat either: what was seen before proves nothing."""
        self._first_seen_s.clear()

    def _look(self) -> Sequence[Reaped]:
        now_s = self._clock()
        self._first_seen_s = {seen: self._first_seen_s.get(seen, now_s) for seen in self._queue.expired()}
        overdue = [seen for seen, since_s in self._first_seen_s.items() if now_s - since_s >= self._grace_s]
        outcomes = [(seen, self._queue.requeue(seen)) for seen in overdue]
        return [Reaped(seen, state) for seen, state in outcomes if state is not None]
