"""The in-memory twin: the same promise inside one process, for tests of whoever uses a queue.

Thread-safe; the clock is injected. It reads like the scripts, whose every rule it repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from random import Random
from threading import Condition
from typing import Any

from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, Expired, JobRecord, Progress, QueueDepth, Verdict
from fastflow_ray.queue.limits import MESSAGE_LIMIT, PAGE_LIMIT, QueueLimits
from fastflow_ray.queue.submission import Submission, conflict, full, no_such_cursor, settle

WAITING = frozenset({JobState.QUEUED, JobState.DELAYED})


@dataclass
class _Job:
    """What the Redis queue keeps in a hash and in the scores of its sorted sets."""

    new: Submission
    job: VideoJob
    created_s: float
    state: JobState = JobState.QUEUED
    until_s: float = 0.0  # ready since (queued), due (delayed), lease deadline (running), end of the record (terminal)
    turn: int = 0
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    heartbeats: int = 0
    claimed_s: float | None = None
    finished_s: float | None = None
    worker: str | None = None
    progress: Progress = field(default_factory=Progress)
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    cancel_requested: bool = False
    cancel_asked_s: float | None = None

    @property
    def place(self) -> tuple[int, int, str]:
        return (-self.job.priority, self.turn, self.new.job_id)

    def record(self) -> JobRecord:
        """As `RedisQueue` shows it."""
        failed = self.state in (JobState.DELAYED, JobState.DEAD, JobState.CANCELLED)
        return JobRecord(
            self.new.job_id, self.state, self.new.payload, self.job.tenant, self.attempts, self.crashes,
            self.created_s, self.claimed_s, self.finished_s, self.worker, self.progress, self.result,
            self.error if failed else None, self.cancel_requested, self.cancel_asked_s,
        )  # fmt: skip


class MemoryQueue:
    """A JobQueue that lives and dies with its process."""

    def __init__(
        self, name: str, limits: QueueLimits, clock: Callable[[], float] = time.time, rng: Random | None = None
    ) -> None:
        self.name = name
        self._limits = limits
        self._clock = clock
        self._rng = rng or Random()
        self._changed = Condition()
        self._jobs: dict[str, _Job] = {}  # in order of submission
        self._last_fence = 0
        self._longest_lease_s = 0.0
        self._submitted = 0
        self._served: dict[int, int] = {}  # priority → turn
        self._turns: dict[tuple[int, str], int] = {}  # (priority, tenant) → turn of the latest job

    def submit(self, job: VideoJob, idempotency_key: str | None = None, delay_s: float = 0.0) -> JobRecord:
        """Store the job; a repeated call with the same key answers the job as it is."""
        new = settle(self.name, job, idempotency_key)
        with self._changed:
            self._sweep()
            if (known := self._jobs.get(new.job_id)) is not None:
                if known.new.digest != new.digest:
                    raise conflict(idempotency_key)
                return known.record()
            if sum(1 for other in self._jobs.values() if other.state in WAITING) >= self._limits.max_queued:
                raise full(self.name, self._limits.max_queued)
            stored = self._jobs[new.job_id] = _Job(new, job, self._clock())
            self._submitted += 1
            self._take_turn(stored)
            if delay_s > 0:
                self._move(stored, JobState.DELAYED, self._clock() + delay_s)
            else:
                self._make_ready(stored)
            return stored.record()

    def claim(self, worker: str, lease_s: float) -> Claim | None:
        """Take the job of the highest priority whose tenant's turn comes first."""
        with self._changed:
            now_s = self._clock()
            for due in [job for job in self._in(JobState.DELAYED) if job.until_s <= now_s]:
                self._make_ready(due)
            job = min(self._in(JobState.QUEUED), key=lambda job: job.place, default=None)
            if job is None:
                if not any(job.state not in TERMINAL for job in self._jobs.values()):
                    self._turns.clear()
                return None
            self._served[job.job.priority] = max(self._served.get(job.job.priority, 0), job.turn)
            waited_s = max(0.0, now_s - job.until_s)
            self._last_fence = job.fence = max(self._last_fence + 1, int(now_s * 1e6))
            self._longest_lease_s = max(self._longest_lease_s, lease_s)
            job.attempts += 1
            job.heartbeats, job.worker, job.claimed_s = 0, worker, now_s
            job.error, job.progress = None, Progress()
            self._move(job, JobState.RUNNING, now_s + lease_s)
            return Claim(
                job.new.job_id, job.new.payload, job.attempts, job.crashes, job.fence, worker, lease_s, waited_s
            )

    def wait(self, timeout_s: float) -> None:
        """Sleep until something becomes ready or due."""
        with self._changed:
            if any(self._in(JobState.QUEUED)):
                return
            due_s = min((job.until_s for job in self._in(JobState.DELAYED)), default=float("inf"))
            self._changed.wait(min(timeout_s, max(0.0, due_s - self._clock())))

    def heartbeat(self, claim: Claim, progress: Progress | None = None) -> Verdict:
        """Extend the lease and store the progress."""
        with self._changed:
            if (job := self._mine(claim)) is None:
                return Verdict.LOST
            job.heartbeats += 1
            job.progress = progress or job.progress
            job.until_s = self._clock() + claim.lease_s
            return Verdict.CANCEL if job.cancel_requested else Verdict.MINE

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Accept the result of the attempt that holds the fence."""
        with self._changed:
            known = self._known(claim.job_id)
            if known is not None and known.state is JobState.SUCCEEDED and known.fence == claim.fence:
                return True
            if (job := self._mine(claim)) is None:
                return False
            job.result = json.loads(json.dumps(result))  # a copy, and the types that JSON has
            self._finish(job, JobState.SUCCEEDED)
            return True

    def fail(self, claim: Claim, code: str, message: str, retryable: bool) -> JobState | None:
        """End the attempt as the retry policy decides."""
        with self._changed:
            if (job := self._mine(claim)) is None:
                return None
            if job.cancel_requested:
                return self._finish_cancelled(job)
            job.error = {"code": code, "message": message[:MESSAGE_LIMIT]}
            failures = claim.attempt - claim.crashes
            decision = self._limits.retry.decide(failures, job.job.max_attempts, retryable, self._rng)
            if not decision.again:
                return self._finish(job, JobState.DEAD)
            return self._move(job, JobState.DELAYED, self._clock() + decision.delay_s)

    def release(self, claim: Claim) -> bool:
        """Give the job back at its old place."""
        with self._changed:
            if (job := self._mine(claim)) is None:
                return False
            if job.cancel_requested:
                self._finish_cancelled(job)
            else:
                job.attempts -= 1
                self._make_ready(job)
            return True

    def cancel(self, job_id: str) -> JobState | None:
        """End a waiting job, flag a running one."""
        with self._changed:
            if (job := self._known(job_id)) is None:
                return None
            if job.state not in TERMINAL:
                job.cancel_requested = True
                job.cancel_asked_s = self._clock() if job.cancel_asked_s is None else job.cancel_asked_s
            return self._finish_cancelled(job) if job.state in WAITING else job.state

    def expired(self) -> Sequence[Expired]:
        """Running jobs past their lease."""
        with self._changed:
            now_s = self._clock()
            furthest_s = now_s + self._longest_lease_s  # a deadline beyond is of before the clock went back
            late = [job for job in self._in(JobState.RUNNING) if not now_s <= job.until_s <= furthest_s]
            return [Expired(job.new.job_id, job.fence, job.heartbeats) for job in late]

    def requeue(self, seen: Expired) -> JobState | None:
        """Take the job from a worker that has not moved since `seen`."""
        with self._changed:
            if seen not in self.expired():
                return None
            job = self._jobs[seen.job_id]
            job.crashes += 1
            if job.cancel_requested:
                return self._finish_cancelled(job)
            if job.crashes < self._limits.max_crashes:
                return self._make_ready(job)
            message = f"{job.crashes} workers died on this job; look at their logs, then submit it again"
            job.error = {"code": "worker_lost", "message": message}
            return self._finish(job, JobState.DEAD)

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now."""
        with self._changed:
            job = self._known(job_id)
            return job.record() if job else None

    def list(self, limit: int = 20, after: str | None = None, newest_first: bool = True) -> Sequence[JobRecord]:
        """At most 1,000 jobs; raises InvalidInput if there is no job `after`."""
        with self._changed:
            self._sweep()
            ids: Iterator[str] = reversed(self._jobs) if newest_first else iter(self._jobs)
            if after:
                if after not in self._jobs:
                    raise no_such_cursor(after)
                ids = islice(dropwhile(lambda job_id: job_id != after, ids), 1, None)
            return [self._jobs[job_id].record() for job_id in islice(ids, max(0, min(limit, PAGE_LIMIT)))]

    def forget(self, job_id: str) -> bool:
        """Delete the record of an ended job."""
        with self._changed:
            job = self._known(job_id)
            if job is None or job.state not in TERMINAL:
                return False
            self._strike(job)
            return True

    def redrive(self, job_id: str) -> bool:
        """Give a dead job another life."""
        with self._changed:
            job = self._known(job_id)
            if job is None or job.state is not JobState.DEAD:
                return False
            job.attempts = job.crashes = 0
            job.error = job.finished_s = job.worker = None
            job.progress = Progress()
            self._take_turn(job)
            self._make_ready(job)
            return True

    def depth(self) -> QueueDepth:
        """Jobs on the books by state."""
        with self._changed:
            self._sweep()
            counts = {state.value: sum(1 for _ in self._in(state)) for state in JobState}
            since_s = min((job.until_s for job in self._in(JobState.QUEUED)), default=self._clock())
            return QueueDepth(
                **counts, submitted=self._submitted, oldest_queued_age_s=max(0.0, self._clock() - since_s)
            )

    def close(self) -> None:
        """There is nothing to let go."""

    def _in(self, state: JobState) -> Iterator[_Job]:
        return (job for job in self._jobs.values() if job.state is state)

    def _known(self, job_id: str) -> _Job | None:
        self._sweep()
        return self._jobs.get(job_id)

    def _mine(self, claim: Claim) -> _Job | None:
        job = self._jobs.get(claim.job_id)
        return job if job and job.state is JobState.RUNNING and job.fence == claim.fence else None

    def _take_turn(self, job: _Job) -> None:
        seat = (job.job.priority, job.job.tenant)
        job.turn = self._turns[seat] = max(self._served.get(job.job.priority, 0), self._turns.get(seat, 0)) + 1

    def _move(self, job: _Job, state: JobState, until_s: float) -> JobState:
        job.state, job.until_s = state, until_s
        return state

    def _make_ready(self, job: _Job) -> JobState:
        self._changed.notify_all()
        return self._move(job, JobState.QUEUED, self._clock())

    def _finish(self, job: _Job, state: JobState) -> JobState:
        job.finished_s = self._clock()
        return self._move(job, state, self._clock() + self._limits.result_ttl_s)

    def _finish_cancelled(self, job: _Job) -> JobState:
        job.error = {"code": "cancelled", "message": "cancelled on request"}
        return self._finish(job, JobState.CANCELLED)

    def _sweep(self) -> None:
        now_s = self._clock()
        for job in [job for job in self._jobs.values() if job.state in TERMINAL and job.until_s <= now_s]:
            self._strike(job)

    def _strike(self, job: _Job) -> None:
        del self._jobs[job.new.job_id]
        self._submitted -= 1
