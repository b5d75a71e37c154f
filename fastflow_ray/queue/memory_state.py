"""What the in-memory twin keeps and how it changes: `scripts/prelude/`, said once more. Not thread-safe by
itself: whoever calls holds `changed`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition

from fastflow_ray.counted import counted
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import BLAMED, TERMINAL, JobState
from fastflow_ray.queue.contract import Claim, Progress
from fastflow_ray.queue.event import KEPT, Event
from fastflow_ray.queue.limits import HOLD_S, QueueLimits
from fastflow_ray.queue.memory_cards import MemoryCards
from fastflow_ray.queue.memory_job import MemoryJob
from fastflow_ray.queue.memory_turns import FairTurns

WAITING = frozenset({JobState.QUEUED, JobState.DELAYED})
DIED = "worker died on this job; look at its logs", "workers died on this job; look at their logs"


class MemoryState:
    """The jobs, and the moves that several operations share."""

    def __init__(self, limits: QueueLimits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self.clock = clock
        self.changed = Condition()
        self.jobs: dict[str, MemoryJob] = {}  # in order of submission
        self.turns = FairTurns()
        self.paused: str | None = None
        self.cards = MemoryCards(clock)
        self.latest: dict[str, MemoryJob] = {}  # worker → the job it claimed last
        self.holds: dict[str, tuple[str, float]] = {}  # digest of tenant and idempotency key → model, until when
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.submitted = self.forgotten = self.gone = 0  # ever; `gone` are those whose record expired
        self.bygone = 0  # ever: forgotten or gone, having succeeded or died
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

    def hold(self, digest: str, model: str) -> str:
        """The model that the key is held for."""
        now_s = self.clock()
        self.holds = {known: held for known, held in self.holds.items() if held[1] > now_s}
        holder, _ = self.holds.get(digest, (model, 0.0))
        if holder == model:
            self.holds[digest] = (model, now_s + HOLD_S)
        return holder

    def next_ready(self) -> MemoryJob | None:
        """What a claim takes: first what is only to be looked for, for that is nobody's turn."""
        if looks := [job for job in self.within(JobState.QUEUED) if job.look_only]:
            return min(looks, key=lambda job: (job.until_s, job.new.job_id))
        if self.paused is not None:
            return None
        ready = [job for job in self.within(JobState.QUEUED) if not self.at_cap(job.tenant)]
        for lane in Lane:
            here = [job for job in ready if job.lane is lane]
            tenant = self.turns.first(lane, {job.tenant for job in here})
            if tenant is not None:
                return min((job for job in here if job.tenant == tenant), key=lambda job: job.place)
        return None

    def given(self, worker: str, nonce: str) -> MemoryJob | None:
        """What that very claim took, while it is the worker's."""
        job = self.latest.get(worker)
        is_his = job and job.state is JobState.RUNNING and (job.worker, job.nonce) == (worker, nonce)
        return job if is_his else None

    def begin(self, job: MemoryJob, worker: str, lease_s: float, nonce: str) -> Claim:
        """An attempt at a ready job."""
        now_s = self.clock()
        job.waited_s = max(0.0, now_s - job.until_s)
        job.paid = 0.0 if job.look_only else self.turns.pay(job.lane, job.tenant, job.cost)
        self.last_fence = job.fence = max(self.last_fence + 1, int(now_s * 1e6))
        self.longest_lease_s = max(self.longest_lease_s, lease_s)
        job.attempts += 1
        job.heartbeats, job.worker, job.nonce, job.claimed_s, job.lease_s = 0, worker, nonce, now_s, lease_s
        job.error, job.progress = None, Progress()
        self.move(job, JobState.RUNNING, now_s + lease_s)
        self.latest[worker] = job
        return job.claim()

    def extend(self, job: MemoryJob, lease_s: float, beats: int = 0) -> None:
        """Its worker lives."""
        job.heartbeats += 1
        job.lease_s, job.until_s = lease_s, self.clock() + lease_s
        self.cards.heard_of(job.worker or "", lease_s, beats)

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
            if job.crashes:
                self.look_once(job, "deadline")
            else:
                self.end(job, "deadline")

    def learn_pace(self, job: MemoryJob) -> None:
        """How long attempts take: each new one counts an eighth, a mere look not at all."""
        if job.look_only:
            return
        attempt_s = self.clock() - (job.claimed_s or 0.0)
        self.attempt_s = attempt_s if self.attempt_s is None else self.attempt_s + (attempt_s - self.attempt_s) / 8

    def move(self, job: MemoryJob, state: JobState, until_s: float, why: str = "") -> JobState:
        """Every transition goes through here; `why` the job came back, if it did."""
        job.state, job.until_s = state, until_s
        self._last_event += 1
        event_id = f"{int(self.clock() * 1000)}-{self._last_event}"
        if job.error and state in BLAMED:
            why = job.error["code"]
        self.events.append(Event(event_id, job.new.job_id, state, job.attempts, job.worker or "", why))
        return state

    def make_ready(self, job: MemoryJob, why: str = "") -> JobState:
        """Queue it, and wake who waits."""
        self.changed.notify_all()
        return self.move(job, JobState.QUEUED, self.clock(), why)

    def finish(self, job: MemoryJob, state: JobState) -> JobState:
        """End it; its record stays for a while."""
        job.finished_s = self.clock()
        return self.move(job, state, self.clock() + self.limits.result_ttl_s)

    def end(self, job: MemoryJob, code: str) -> JobState:
        """End it without a result."""
        patience = f"not begun within {job.new.job.deadline_s or 0.0:g} s"
        words = {
            "cancelled": "cancelled on request",
            "deadline": f"{patience}; allow more, or ask when less is waiting",
            "worker_lost": f"{counted(job.crashes, *DIED)}, then submit it again",
        }
        job.error = {"code": code, "message": words[code]}
        return self.finish(job, JobState.CANCELLED if code == "cancelled" else JobState.DEAD)

    def look_once(self, job: MemoryJob, code: str, why: str = "") -> JobState:
        """Have somebody look for its result before it ends so: one of its workers may have published."""
        job.look_only, job.deadline_s = code, math.inf
        if job.state is not JobState.QUEUED:
            return self.make_ready(job, why)
        self.changed.notify_all()
        return job.state

    def redrive(self, job: MemoryJob) -> None:
        """Another life for a dead job."""
        job.attempts = job.crashes = 0
        job.error = job.finished_s = job.worker = None
        job.look_only = ""
        job.progress = Progress()
        self.set_deadline(job)
        self.take_place(job)
        self.make_ready(job)

    def sweep(self) -> None:
        """Forget what has ended long ago."""
        now_s = self.clock()
        for job in [job for job in self.jobs.values() if job.state in TERMINAL and job.until_s <= now_s]:
            self.gone += 1
            self._strike(job)

    def forget(self, job: MemoryJob) -> None:
        """Off the books on request."""
        self.forgotten += 1
        self._strike(job)

    def _strike(self, job: MemoryJob) -> None:
        self.bygone += job.state is not JobState.CANCELLED
        del self.jobs[job.new.job_id]

    def at_cap(self, tenant: str) -> bool:
        most = self.turns.allowed(tenant).max_running
        return most is not None and sum(job.tenant == tenant for job in self.within(JobState.RUNNING)) >= most
