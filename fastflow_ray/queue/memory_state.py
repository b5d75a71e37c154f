"""What the in-memory twin keeps and how it changes: the prelude of the scripts, said once more. Not thread-safe by
itself: whoever calls holds `changed`.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.queue.contract import Claim, JobRecord, Progress
from fastflow_ray.queue.event import Event
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_turns import FairTurns
from fastflow_ray.queue.submission import Submission
from fastflow_ray.queue.worker_card import WorkerCard

EVENTS = 10_000
WAITING = frozenset({JobState.QUEUED, JobState.DELAYED})


@dataclass
class MemoryJob:
    """What the Redis queue keeps in a hash and in the scores of its sorted sets."""

    new: Submission
    cost: float
    created_s: float
    state: JobState = JobState.QUEUED
    until_s: float = 0.0  # ready since (queued), due (delayed), lease deadline (running), end of the record (terminal)
    seq: int = 0
    paid: float = 0.0  # of its tenant's turns, by the last claim
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
    lease_s: float = 0.0
    deadline_s: float = math.inf  # when no attempt may begin any more

    @property
    def tenant(self) -> str:
        return self.new.job.tenant

    @property
    def lane(self) -> Lane:
        return self.new.job.lane or Lane.STANDARD

    @property
    def place(self) -> tuple[int, int]:
        return (-self.new.job.priority, self.seq)

    def record(self, now_s: float) -> JobRecord:
        """As `RedisQueue` shows it."""
        runs, left_s = self.state is JobState.RUNNING, self.until_s - now_s
        failed = self.state in (JobState.DELAYED, JobState.DEAD, JobState.CANCELLED)
        return JobRecord(
            self.new.job_id, self.state, self.new.payload, self.tenant, self.attempts, self.crashes,
            self.created_s, self.claimed_s, self.finished_s, self.worker, self.progress, self.result,
            self.error if failed else None, self.cancel_requested, self.cancel_asked_s,
            max(0.0, self.lease_s - left_s) if runs else None, max(0.0, left_s) if runs else None,
        )  # fmt: skip


class MemoryState:
    """The jobs, and the moves that several operations share."""

    def __init__(self, limits: QueueLimits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.changed = Condition()
        self.jobs: dict[str, MemoryJob] = {}  # in order of submission
        self.turns = FairTurns()
        self.paused: str | None = None
        self.cards: dict[str, tuple[WorkerCard, float, float]] = {}  # worker → card, when heard of, good until
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.submitted = self.forgotten = self.gone = 0  # ever; `gone` are those whose record expired
        self.last_fence = 0
        self.longest_lease_s = 0.0
        self.attempt_s: float | None = None  # how long attempts took lately
        self._last_seq = self._last_event = 0

    def within(self, state: JobState) -> Iterator[MemoryJob]:
        """The jobs of one state."""
        return (job for job in self.jobs.values() if job.state is state)

    def known(self, job_id: str) -> MemoryJob | None:
        """The job, unless its record has expired."""
        self.sweep()
        return self.jobs.get(job_id)

    def mine(self, claim: Claim) -> MemoryJob | None:
        """The job, if this is the attempt that runs now."""
        job = self.jobs.get(claim.job_id)
        return job if job and job.state is JobState.RUNNING and job.fence == claim.fence else None

    def next_ready(self) -> MemoryJob | None:
        """What a claim takes."""
        if self.paused is not None:
            return None
        ready = [job for job in self.within(JobState.QUEUED) if not self._at_cap(job.tenant)]
        for lane in Lane:
            here = [job for job in ready if job.lane is lane]
            tenant = self.turns.first(lane, {job.tenant for job in here})
            if tenant is not None:
                return min((job for job in here if job.tenant == tenant), key=lambda job: job.place)
        return None

    def take_place(self, job: MemoryJob) -> None:
        """The last of its tenant and priority."""
        self._last_seq += 1
        job.seq = self._last_seq

    def set_deadline(self, job: MemoryJob) -> None:
        """It counts from the submission, or from the redrive."""
        if job.new.job.deadline_s is not None:
            job.deadline_s = self.clock() + job.new.job.deadline_s

    def end_overdue(self) -> None:
        """End what waits though nobody wants it any more."""
        for job in [job for job in self.jobs.values() if job.state in WAITING and job.deadline_s <= self.clock()]:
            patience = f"not begun within {job.new.job.deadline_s:g} s"
            job.error = {"code": "deadline", "message": f"{patience}; allow more, or ask when less is waiting"}
            self.finish(job, JobState.DEAD)

    def learn_pace(self, job: MemoryJob) -> None:
        """How long attempts take: each new one counts an eighth."""
        attempt_s = self.clock() - (job.claimed_s or 0.0)
        self.attempt_s = attempt_s if self.attempt_s is None else self.attempt_s + (attempt_s - self.attempt_s) / 8

    def predicted_wait_s(self, lane: Lane, tenant: str) -> float | None:
        """How long a new job of that seat would wait; None: nothing is known."""
        running = sum(1 for _ in self.within(JobState.RUNNING))
        if self.attempt_s is None or not running:
            return None
        ahead = 0.0
        for each in Lane:
            ready = Counter(job.tenant for job in self.within(JobState.QUEUED) if job.lane is each)
            if each is lane:
                weight = self.turns.weight_of(tenant)
                weights = sum(self.turns.weight_of(other) for other in {*ready, tenant})
                ahead += min(ready.total(), (ready[tenant] + 1) * weights / weight - 1)
                break
            ahead += ready.total()
        return ahead * self.attempt_s / running

    def move(self, job: MemoryJob, state: JobState, until_s: float) -> JobState:
        """Every transition goes through here."""
        job.state, job.until_s = state, until_s
        self._last_event += 1
        event_id = f"{int(self.clock() * 1000)}-{self._last_event}"
        self.events.append(Event(event_id, job.new.job_id, state, job.attempts, job.worker or ""))
        return state

    def heard_of(self, card: WorkerCard, good_s: float) -> None:
        """The worker's card is good for so long."""
        self.cards[card.worker] = (card, self.clock(), self.clock() + good_s)

    def make_ready(self, job: MemoryJob) -> JobState:
        """Queue it, and wake who waits."""
        self.changed.notify_all()
        return self.move(job, JobState.QUEUED, self.clock())

    def finish(self, job: MemoryJob, state: JobState) -> JobState:
        """End it; its record stays for a while."""
        job.finished_s = self.clock()
        return self.move(job, state, self.clock() + self.limits.result_ttl_s)

    def finish_cancelled(self, job: MemoryJob) -> JobState:
        """End it as its user wished."""
        job.error = {"code": "cancelled", "message": "cancelled on request"}
        return self.finish(job, JobState.CANCELLED)

    def redrive(self, job: MemoryJob) -> None:
        """Another life for a dead job."""
        job.attempts = job.crashes = 0
        job.error = job.finished_s = job.worker = None
        job.progress = Progress()
        self.set_deadline(job)
        self.take_place(job)
        self.make_ready(job)

    def sweep(self) -> None:
        """Forget what has ended long ago."""
        now_s = self.clock()
        for job in [job for job in self.jobs.values() if job.state in TERMINAL and job.until_s <= now_s]:
            self.gone += 1
            del self.jobs[job.new.job_id]

    def forget(self, job: MemoryJob) -> None:
        """Off the books on request."""
        self.forgotten += 1
        del self.jobs[job.new.job_id]

    def _at_cap(self, tenant: str) -> bool:
        most = self.turns.allowed(tenant).max_running
        return most is not None and sum(job.tenant == tenant for job in self.within(JobState.RUNNING)) >= most
