"""What every queue promises: no acknowledged job is lost, and at most one completion per job is accepted.

Execution is at least once; a *fence*, a number that rises with every claim, makes completion exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.limits import GRACE_S, LOOK_S, OVERDUE_AFTER_S, SILENT_AFTER_S
from fastflow_ray.queue.worker_card import WorkerCard


class Verdict(StrEnum):
    """What a worker learns when it tells the queue that it is still alive."""

    MINE = "mine"  # go on
    CANCEL = "cancel"  # go no further, then `fail` with JobCancelled
    LOST = "lost"  # somebody else has the job: touch nothing of it any more


@dataclass(frozen=True)
class Progress:
    """How far a running job is; what a live display shows."""

    phase: str = "waiting"  # load, text_encode, sample, decode, audit, encode, upload
    step: int = 0  # steps of the grid behind us
    steps: int = 0  # steps of the grid in all
    evaluated: int = 0  # the video's own steps at which the network ran
    skipped: int = 0  # its own at which it did not
    eta_s: float | None = None  # seconds to the end of sampling, when known
    audit_steps: int = 0  # of the steps in all, so many are its audit's: the last, and more as it tries other plans

    @property
    def own_steps(self) -> int:
        """Of the video, without its audit."""
        return self.steps - self.audit_steps


@dataclass(frozen=True)
class Claim:
    """One attempt at one job, held by one worker until the lease runs out."""

    job_id: str
    payload: str  # the job as JSON; `jobs.payload.read_job` turns it into a VideoJob or raises CorruptPayload
    attempt: int  # 1 for the first
    crashes: int  # attempts that ended without a word
    fence: int  # rises with every claim; microseconds, never reissued
    worker: str
    lease_s: float
    waited_s: float = 0.0  # from when the job became ready to this claim
    look_only: bool = False  # its workers died: complete it with what one had published, else `fail`; never make it


@dataclass(frozen=True)
class JobRecord:
    """A job as the queue knows it; times are seconds since the epoch by the server's clock."""

    job_id: str
    state: JobState
    payload: str
    tenant: str
    attempts: int
    crashes: int
    created_s: float
    claimed_s: float | None = None  # when its latest attempt began
    finished_s: float | None = None
    expires_s: float | None = None  # when the record of an ended job goes
    worker: str | None = None
    progress: Progress = field(default_factory=Progress)
    result: dict[str, Any] | None = None  # the manifest, of a succeeded job
    error: dict[str, str] | None = None  # {"code", "message"}, of a dead, cancelled or delayed job
    cancel_requested: bool = False
    cancel_asked_s: float | None = None  # when that was
    # Of a running job, as of the reading.
    silent_s: float | None = field(default=None, compare=False)  # since its attempt's last beat
    lease_left_s: float | None = field(default=None, compare=False)  # until a reaper may look at it; below 0: past

    @property
    def silent(self) -> bool:
        """Whether its attempt has missed two beats: its worker may be dead, or another have its name by now."""
        return self.silent_s is not None and self.silent_s > SILENT_AFTER_S

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end of sampling, by the last beat; None once the next is overdue: nobody may be at it."""
        overdue = self.silent_s is not None and self.silent_s > OVERDUE_AFTER_S
        return self.progress.eta_s if self.state is JobState.RUNNING and not overdue else None

    @property
    def back_in_s(self) -> float | None:
        """So soon at the latest a reaper gives a silent worker's job to another; None: by now one should have."""
        left_s = (self.lease_left_s or 0.0) + GRACE_S + LOOK_S
        return left_s if left_s >= 0 else None


@dataclass(frozen=True)
class QueueDepth:
    """Counts by state, for backpressure, scaling and the conservation check."""

    queued: int = 0
    delayed: int = 0
    running: int = 0
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    submitted: int = 0
    oldest_queued_age_s: float = 0.0
    paused: str | None = None  # why no job is given out
    bygone: int = field(default=0, compare=False)  # ever: of the succeeded and the dead, those whose records are gone


@dataclass(frozen=True)
class Expired:
    """A running job past its lease as a reaper saw it; requeued only if it still looks the same after the grace."""

    job_id: str
    fence: int
    heartbeats: int


class JobQueue(Protocol):
    """All times are the server's. Every method may raise QueueUnavailable."""

    name: str

    def submit(self, job: VideoJob, idempotency_key: str | None = None, cost: float = 1.0) -> JobRecord:
        """Acknowledge a job. The same key with the same job answers the job as it is, with another raises
        IdempotencyConflict; over the queue's or the tenant's limit, or where the server's memory is nearly full, raises
        QueueFull. `cost` is the work it is, in jobs of the usual size: by that, tenants share."""

    def hold(self, tenant: str, idempotency_key: str, model: str) -> str:
        """Hold the key for a model for `HOLD_S`, whichever queue is that model's; answers the one it is held for, which
        is another if that came first. So all who submit to several queues agree in one of them."""

    def claim(self, worker: str, lease_s: float, nonce: str = "") -> Claim | None:
        """Take the next ready job, or None: lanes are strict, inside one tenants take turns by weight, a tenant's own
        jobs go by priority, then by age. What is only to be looked for comes before them all, whatever is paused and
        whoever is at its cap, and is nobody's turn. Promotes delayed jobs that are due.

        The nonce is drawn anew for every claim. Whoever got no answer claims under the same again: while the job he was
        given is his, that is the answer, with its fence, and no other attempt is counted."""

    def wait(self, timeout_s: float) -> None:
        """Return when there may be work, at the latest after `timeout_s`; a wake-up may be false."""

    def heartbeat(self, claim: Claim, progress: Progress | None = None) -> Verdict:
        """Extend the lease; an expired lease that nobody reaped revives."""

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Accept the result if the fence is still ours; False: lost. Repeating an accepted call answers True."""

    def fail(self, claim: Claim, code: str, message: str, retryable: bool) -> JobState | None:
        """End the attempt: delayed by backoff, dead, or cancelled if that was asked; None: lost. A job that was only
        looked for ends, unless it is tried again, with the words it would have had without the look."""

    def release(self, claim: Claim) -> bool:
        """Give the job back at its old place, the attempt not counted; False: lost."""

    def cancel(self, job_id: str) -> JobState | None:
        """Cancel now (queued, delayed) or at the next step (running); answers the state; None: no such job."""

    def expired(self) -> Sequence[Expired]:
        """First phase of reaping: running jobs past their lease."""

    def requeue(self, seen: Expired) -> JobState | None:
        """Second phase: if nothing moved since `seen`, queue the job again; None: it lives. What is poison by now, or
        was cancelled, is queued for one look at what its workers may have published; if that worker dies too, it ends.
        """

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now."""

    def list(self, limit: int = 20, after: str | None = None, newest_first: bool = True) -> Sequence[JobRecord]:
        """Jobs by time of submission, after the job `after`; raises UnknownJob if that is none, or no more."""

    def forget(self, job_id: str) -> bool:
        """Delete the record of a job that has ended; False: no such job, or it has not ended."""

    def redrive(self, job_id: str) -> bool:
        """Queue a dead job again with fresh attempts; False: it is not dead."""

    def sign_in(self, card: WorkerCard, ttl_s: float) -> None:
        """Lay down a worker's card for so long, in place of the one before; its beats are counted here. Every claim and
        every heartbeat of the worker keeps it for a lease more, and lays down an empty one if there is none."""

    def sign_off(self, worker: str) -> None:
        """Take the card away."""

    def workers(self) -> Sequence[WorkerCard]:
        """Who serves this queue now, by name."""

    def depth(self) -> QueueDepth:
        """How many jobs are in which state."""

    def close(self) -> None:
        """Let the connections go, if there are any; the next call opens them again."""
