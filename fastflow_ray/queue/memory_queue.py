"""The in-memory twin: the same promise inside one process, for tests of whoever uses a queue.

Thread-safe; the clock is injected. It reads like the scripts, whose every rule it repeats.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile, islice
from random import Random
from typing import Any

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, Expired, JobRecord, Progress, QueueDepth, Verdict
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.limits import MESSAGE_LIMIT, PAGE_LIMIT, QueueLimits
from fastflow_ray.queue.memory_desk import MemoryDesk
from fastflow_ray.queue.memory_state import WAITING, MemoryJob, MemoryState
from fastflow_ray.queue.submission import conflict, full, no_such_cursor, settle, tenant_full, too_late
from fastflow_ray.queue.worker_card import WorkerCard


class MemoryQueue:
    """A JobQueue that lives and dies with its process."""

    def __init__(
        self, name: str, limits: QueueLimits, clock: Callable[[], float] = time.time, rng: Random | None = None
    ) -> None:
        self.name = name
        self._limits = limits
        self._clock = clock
        self._rng = rng or Random()
        self._state = MemoryState(limits, clock)

    def desk(self) -> QueueDesk:
        """Its operator's side."""
        return MemoryDesk(self._state)

    def submit(self, job: VideoJob, idempotency_key: str | None = None, cost: float = 1.0) -> JobRecord:
        """Store the job; a repeated call with the same key answers the job as it is."""
        new = settle(self.name, job, idempotency_key)
        with self._state.changed:
            self._state.sweep()
            if (known := self._state.jobs.get(new.job_id)) is not None:
                if known.new.digest != new.digest:
                    raise conflict(idempotency_key)
                return known.record(self._clock())
            self._refuse(new.job)
            stored = self._state.jobs[new.job_id] = MemoryJob(new, cost, self._clock())
            self._state.submitted += 1
            self._state.set_deadline(stored)
            self._state.take_place(stored)
            if job.delay_s:
                self._state.move(stored, JobState.DELAYED, self._clock() + job.delay_s)
            else:
                self._state.make_ready(stored)
            return stored.record(self._clock())

    def claim(self, worker: str, lease_s: float) -> Claim | None:
        """Take the first job of the tenant whose turn it is in the first lane that holds work."""
        with self._state.changed:
            now_s = self._clock()
            self._state.end_overdue()
            for due in [job for job in self._state.within(JobState.DELAYED) if job.until_s <= now_s]:
                self._state.make_ready(due)
            job = self._state.next_ready()
            self._state.heard_of(self._card_of(worker), lease_s)
            if job is None:
                return None
            job.paid = self._state.turns.pay(job.lane, job.tenant, job.cost)
            waited_s = max(0.0, now_s - job.until_s)
            self._state.last_fence = job.fence = max(self._state.last_fence + 1, int(now_s * 1e6))
            self._state.longest_lease_s = max(self._state.longest_lease_s, lease_s)
            job.attempts += 1
            job.heartbeats, job.worker, job.claimed_s, job.lease_s = 0, worker, now_s, lease_s
            job.error, job.progress = None, Progress()
            self._state.move(job, JobState.RUNNING, now_s + lease_s)
            return Claim(
                job.new.job_id, job.new.payload, job.attempts, job.crashes, job.fence, worker, lease_s, waited_s
            )

    def wait(self, timeout_s: float) -> None:
        """Sleep until something becomes ready or due."""
        with self._state.changed:
            if self._state.next_ready():
                return
            due_s = min((job.until_s for job in self._state.within(JobState.DELAYED)), default=float("inf"))
            self._state.changed.wait(min(timeout_s, max(0.0, due_s - self._clock())))

    def heartbeat(self, claim: Claim, progress: Progress | None = None) -> Verdict:
        """Extend the lease and store the progress."""
        with self._state.changed:
            if (job := self._state.mine(claim)) is None:
                return Verdict.LOST
            job.heartbeats += 1
            job.progress = progress or job.progress
            job.lease_s, job.until_s = claim.lease_s, self._clock() + claim.lease_s
            known = self._card_of(claim.worker)
            self._state.heard_of(replace(known, beats=known.beats + 1), claim.lease_s)
            return Verdict.CANCEL if job.cancel_requested else Verdict.MINE

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Accept the result of the attempt that holds the fence."""
        with self._state.changed:
            known = self._state.known(claim.job_id)
            if known is not None and known.state is JobState.SUCCEEDED and known.fence == claim.fence:
                return True
            if (job := self._state.mine(claim)) is None:
                return False
            job.result = json.loads(json.dumps(result))  # a copy, and the types that JSON has
            self._state.learn_pace(job)
            self._state.finish(job, JobState.SUCCEEDED)
            return True

    def fail(self, claim: Claim, code: str, message: str, retryable: bool) -> JobState | None:
        """End the attempt as the retry policy decides."""
        with self._state.changed:
            if (job := self._state.mine(claim)) is None:
                return None
            if job.cancel_requested:
                return self._state.finish_cancelled(job)
            job.error = {"code": code, "message": message[:MESSAGE_LIMIT]}
            failures = claim.attempt - claim.crashes
            decision = self._limits.retry.decide(failures, job.new.job.max_attempts, retryable, self._rng)
            due_s = self._clock() + decision.delay_s
            if decision.again and due_s < job.deadline_s:
                return self._state.move(job, JobState.DELAYED, due_s)
            return self._state.finish(job, JobState.DEAD)

    def release(self, claim: Claim) -> bool:
        """Give the job back at its old place."""
        with self._state.changed:
            if (job := self._state.mine(claim)) is None:
                return False
            if job.cancel_requested:
                self._state.finish_cancelled(job)
            else:
                job.attempts -= 1
                self._state.turns.repay(job.lane, job.tenant, job.paid)
                self._state.make_ready(job)
            return True

    def cancel(self, job_id: str) -> JobState | None:
        """End a waiting job, flag a running one."""
        with self._state.changed:
            if (job := self._state.known(job_id)) is None:
                return None
            if job.state not in TERMINAL:
                job.cancel_requested = True
                job.cancel_asked_s = self._clock() if job.cancel_asked_s is None else job.cancel_asked_s
            return self._state.finish_cancelled(job) if job.state in WAITING else job.state

    def expired(self) -> Sequence[Expired]:
        """Running jobs past their lease."""
        with self._state.changed:
            now_s = self._clock()
            furthest_s = now_s + self._state.longest_lease_s  # a deadline beyond is of before the clock went back
            late = [job for job in self._state.within(JobState.RUNNING) if not now_s <= job.until_s <= furthest_s]
            return [Expired(job.new.job_id, job.fence, job.heartbeats) for job in late]

    def requeue(self, seen: Expired) -> JobState | None:
        """Take the job from a worker that has not moved since `seen`."""
        with self._state.changed:
            if seen not in self.expired():
                return None
            job = self._state.jobs[seen.job_id]
            job.crashes += 1
            if job.cancel_requested:
                return self._state.finish_cancelled(job)
            if job.crashes < self._limits.max_crashes:
                return self._state.make_ready(job)
            message = f"{job.crashes} workers died on this job; look at their logs, then submit it again"
            job.error = {"code": "worker_lost", "message": message}
            return self._state.finish(job, JobState.DEAD)

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now."""
        with self._state.changed:
            job = self._state.known(job_id)
            return job.record(self._clock()) if job else None

    def list(self, limit: int = 20, after: str | None = None, newest_first: bool = True) -> Sequence[JobRecord]:
        """At most 1,000 jobs; raises InvalidInput if there is no job `after`."""
        with self._state.changed:
            self._state.sweep()
            ids: Iterator[str] = reversed(self._state.jobs) if newest_first else iter(self._state.jobs)
            if after:
                if after not in self._state.jobs:
                    raise no_such_cursor(after)
                ids = islice(dropwhile(lambda job_id: job_id != after, ids), 1, None)
            return [
                self._state.jobs[job_id].record(self._clock()) for job_id in islice(ids, max(0, min(limit, PAGE_LIMIT)))
            ]

    def forget(self, job_id: str) -> bool:
        """Delete the record of an ended job."""
        with self._state.changed:
            job = self._state.known(job_id)
            if job is None or job.state not in TERMINAL:
                return False
            self._state.forget(job)
            return True

    def redrive(self, job_id: str) -> bool:
        """Give a dead job another life."""
        with self._state.changed:
            job = self._state.known(job_id)
            if job is None or job.state is not JobState.DEAD:
                return False
            self._state.redrive(job)
            return True

    def sign_in(self, card: WorkerCard, ttl_s: float) -> None:
        """Lay down a worker's card."""
        with self._state.changed:
            beats = self._card_of(card.worker).beats
            self._state.heard_of(replace(card, why=card.why[:MESSAGE_LIMIT], beats=beats), ttl_s)

    def sign_off(self, worker: str) -> None:
        """Take the card away."""
        with self._state.changed:
            self._state.cards.pop(worker, None)

    def workers(self) -> Sequence[WorkerCard]:
        """The cards that are still good."""
        with self._state.changed:
            now_s = self._clock()
            held = sorted(self._state.cards.items())
            return [replace(card, silent_s=now_s - since_s) for _, (card, since_s, until_s) in held if until_s > now_s]

    def depth(self) -> QueueDepth:
        """Jobs on the books by state."""
        with self._state.changed:
            self._state.end_overdue()
            self._state.sweep()
            by_state = {state.value: sum(1 for _ in self._state.within(state)) for state in JobState}
            since_s = min((job.until_s for job in self._state.within(JobState.QUEUED)), default=self._clock())
            submitted = self._state.submitted - self._state.forgotten - self._state.gone
            oldest_s = max(0.0, self._clock() - since_s)
            return QueueDepth(**by_state, submitted=submitted, oldest_queued_age_s=oldest_s, paused=self._state.paused)

    def close(self) -> None:
        """There is nothing to let go."""

    def _card_of(self, worker: str) -> WorkerCard:
        card, _, until_s = self._state.cards.get(worker, (WorkerCard(worker), 0.0, 0.0))
        return card if until_s > self._clock() else WorkerCard(worker)

    def _refuse(self, job: VideoJob) -> None:
        waiting = [other.tenant for other in self._state.jobs.values() if other.state in WAITING]
        wait_s = self._state.predicted_wait_s(job.lane or Lane.STANDARD, job.tenant)
        if len(waiting) >= self._limits.max_queued:
            raise full(self.name, self._limits.max_queued, wait_s)
        most = self._state.turns.allowed(job.tenant).max_queued
        if most is not None and waiting.count(job.tenant) >= most:
            raise tenant_full(job.tenant, most, wait_s)
        if job.deadline_s is not None and not job.delay_s and wait_s is not None and wait_s >= job.deadline_s:
            raise too_late(job, wait_s)
