"""The in-memory twin: the same promise inside one process, for tests of whoever uses a queue.

Thread-safe; the clock is injected. It reads like the scripts, whose every rule it repeats.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile, islice
from random import Random
from typing import Any

from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, Expired, JobRecord, Progress, QueueDepth, Verdict
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.limits import MESSAGE_LIMIT, PAGE_LIMIT, QueueLimits
from fastflow_ray.queue.memory_admission import admit
from fastflow_ray.queue.memory_desk import MemoryDesk
from fastflow_ray.queue.memory_job import MemoryJob
from fastflow_ray.queue.memory_state import WAITING, MemoryState
from fastflow_ray.queue.submission import conflict, hold_digest, no_such_cursor, settle
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
            admit(self._state, self.name, new.job)
            stored = self._state.jobs[new.job_id] = MemoryJob(new, cost, self._clock())
            self._state.submitted += 1
            self._state.set_deadline(stored)
            self._state.take_place(stored)
            if job.delay_s:
                self._state.move(stored, JobState.DELAYED, self._clock() + job.delay_s)
            else:
                self._state.make_ready(stored)
            return stored.record(self._clock())

    def hold(self, tenant: str, idempotency_key: str, model: str) -> str:
        """Whoever comes first has it."""
        with self._state.changed:
            return self._state.hold(hold_digest(tenant, idempotency_key), model)

    def claim(self, worker: str, lease_s: float, nonce: str = "") -> Claim | None:
        """Take the first job of the tenant whose turn it is in the first lane that holds work."""
        with self._state.changed:
            if given := self._state.given(worker, nonce):
                self._state.extend(given, lease_s)
                return given.claim()
            self._state.end_overdue()
            for due in [job for job in self._state.within(JobState.DELAYED) if job.until_s <= self._clock()]:
                self._state.make_ready(due)
            self._state.cards.heard_of(worker, lease_s)
            job = self._state.next_ready()
            return self._state.begin(job, worker, lease_s, nonce or secrets.token_hex(8)) if job else None

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
            self._state.extend(job, claim.lease_s, beats=1)
            job.progress = progress or job.progress
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
            if job.cancel_requested and not job.end_code:
                return self._state.end(job, "cancelled")
            failures = claim.attempt - claim.crashes
            decision = self._limits.retry.decide(failures, job.new.job.max_attempts, retryable, self._rng)
            due_s = self._clock() + decision.delay_s
            again = decision.again and due_s < job.deadline_s
            if job.end_code and not again:
                return self._state.end(job, job.end_code)
            job.error = {"code": code, "message": message[:MESSAGE_LIMIT]}
            return self._state.move(job, JobState.DELAYED, due_s) if again else self._state.finish(job, JobState.DEAD)

    def release(self, claim: Claim) -> bool:
        """Give the job back at its old place."""
        with self._state.changed:
            if (job := self._state.mine(claim)) is None:
                return False
            if job.cancel_requested and not job.end_code:
                self._state.end(job, "cancelled")
            else:
                job.attempts -= 1
                self._state.turns.repay(job.lane, job.tenant, job.paid)
                self._state.make_ready(job, "released")
            return True

    def cancel(self, job_id: str) -> JobState | None:
        """End a waiting job, flag a running one."""
        with self._state.changed:
            if (job := self._state.known(job_id)) is None:
                return None
            if job.state not in TERMINAL:
                job.cancel_requested = True
                job.cancel_asked_s = self._clock() if job.cancel_asked_s is None else job.cancel_asked_s
            return self._state.end(job, "cancelled") if job.state in WAITING else job.state

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
            if job.end_code:
                return self._state.end(job, job.end_code)
            if job.cancel_requested:
                return self._state.look_once(job, "cancelled", "worker_lost")
            if job.crashes >= self._limits.max_crashes:
                return self._state.look_once(job, "worker_lost", "worker_lost")
            return self._state.make_ready(job, "worker_lost")

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now."""
        with self._state.changed:
            job = self._state.known(job_id)
            return job.record(self._clock()) if job else None

    def list(self, limit: int = 20, after: str | None = None, newest_first: bool = True) -> Sequence[JobRecord]:
        """At most 1,000 jobs; raises UnknownJob if there is no job `after`."""
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
            self._state.cards.lay_down(card, ttl_s)

    def sign_off(self, worker: str) -> None:
        """Take the card away."""
        with self._state.changed:
            self._state.cards.take_away(worker)

    def workers(self) -> Sequence[WorkerCard]:
        """The cards that are still good."""
        with self._state.changed:
            return self._state.cards.good()

    def depth(self) -> QueueDepth:
        """Jobs on the books by state."""
        with self._state.changed:
            self._state.end_overdue()
            self._state.sweep()
            by_state = {state.value: sum(1 for _ in self._state.within(state)) for state in JobState}
            now_s = self._clock()
            since_s = min((job.until_s for job in self._state.within(JobState.QUEUED)), default=now_s)
            submitted = self._state.submitted - self._state.forgotten - self._state.gone
            oldest_s = max(0.0, now_s - since_s)
            paused, bygone = self._state.paused, self._state.bygone
            return QueueDepth(
                **by_state, submitted=submitted, oldest_queued_age_s=oldest_s, paused=paused, bygone=bygone
            )

    def close(self) -> None:
        """There is nothing to let go."""
