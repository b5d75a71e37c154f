"""What one look at the queue cannot tell: how long a job takes, and how many workers were needed of late.

Knows nothing of Ray or Redis; times are the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from fastflow_ray.queue.contract import QueueDepth
from orchestration.autoscale import Limits, Load, workers_needed

NEWEST_SHARE = 0.3  # of the newest measurement in the running mean of the job's length


class LoadHistory:
    """Turns successive depths of a queue into loads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._needs: deque[tuple[float, int]] = deque()  # (time, need), needs falling: the first is the highest
        self._seen: tuple[float, QueueDepth] | None = None
        self._busy_s = 0.0  # worker seconds since a job last ended
        self.job_s: float | None = None

    def load(self, depth: QueueDepth, workers: int, now_s: float) -> Load:
        """The load now, with the past it has to be judged by."""
        self._measure(depth, now_s)
        if self._seen is None:  # who adopts workers has not seen what they were needed for
            self._remember(min(workers, self._limits.ceiling), now_s)
        self._seen = (now_s, depth)
        work = Load(depth.queued, depth.delayed, depth.running, depth.oldest_queued_age_s, self.job_s, workers)
        self._remember(workers_needed(work, self._limits), now_s)
        return replace(work, recent_need=self._needs[0][1])

    def _measure(self, depth: QueueDepth, now_s: float) -> None:
        if self._seen is None:
            return
        then_s, before = self._seen
        self._busy_s += before.running * (now_s - then_s)
        ended = _ended(depth) - _ended(before)
        if ended > 0:
            newest_s = self._busy_s / ended
            self.job_s = newest_s if self.job_s is None else self.job_s + NEWEST_SHARE * (newest_s - self.job_s)
            self._busy_s = 0.0

    def _remember(self, need: int, now_s: float) -> None:
        while self._needs and self._needs[-1][1] <= need:
            self._needs.pop()
        self._needs.append((now_s, need))
        while now_s - self._needs[0][0] > self._limits.patience_s:
            self._needs.popleft()


def _ended(depth: QueueDepth) -> int:
    """Ever, though records go. Who cancels mostly cancels what has not begun."""
    return depth.succeeded + depth.dead + depth.bygone
