"""What every queue settles about a job before storing it (id, seed, digest), and the words it refuses one with."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from fastflow_ray.counted import counted
from fastflow_ray.errors import DeadlineTooTight, IdempotencyConflict, InvalidInput, MemoryFull, QueueFull, UnknownJob
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.payload import digest, write_job
from fastflow_ray.jobs.seed import seed_of
from fastflow_ray.jobs.video_job import IN_WORDS, TENANT, VideoJob
from fastflow_ray.queue.limits import MESSAGE_LIMIT
from fastflow_ray.queue.share import EVERYBODY

RETRY_S = (1.0, 300.0)  # the least and the most that a full queue tells its clients to wait
UNKNOWN_RETRY_S = 5.0  # where nothing is known of how fast it empties
MEMORY_RETRY_S = 60.0  # records of ended jobs go one by one, when the time of each has come


@dataclass(frozen=True)
class Submission:
    """A job ready to be stored."""

    job_id: str
    job: VideoJob
    payload: str  # with its seed settled, so that every attempt makes the same video
    digest: str  # of the payload, by which a key's second use for another job is noticed


def settle(queue: str, job: VideoJob, idempotency_key: str | None) -> Submission:
    """Derive the id from (queue, tenant, key), or draw one; the seed from the id if the job leaves it open.

    Raises InvalidInput: a job may have been put together without its checks, and its tenant becomes part of a key.
    """
    job = parse_job({name: value for name, value in job if value is not None})
    job_id = _job_id(queue, job.tenant, idempotency_key)
    if job.seed is None:
        job = job.model_copy(update={"seed": seed_of(job_id)})
    payload = write_job(job)
    return Submission(job_id, job, payload, digest(payload))


def _job_id(queue: str, tenant: str, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return secrets.token_hex(16)
    if not idempotency_key:  # a script whose variable was empty: all its jobs would be one
        raise InvalidInput("the idempotency key is empty; leave it out, or give one that names this job alone")
    # Two queues may share a store, so the queue's name is part of the id; neither name nor tenant can hold a colon.
    return hashlib.sha256(f"{queue}:{tenant}:{idempotency_key}".encode()).hexdigest()[:32]


def hold_digest(tenant: str, idempotency_key: str) -> str:
    """What names a tenant's key in whichever queue it is held."""
    return hashlib.sha256(f"{tenant}:{idempotency_key}".encode()).hexdigest()[:32]


def conflict(idempotency_key: str | None) -> IdempotencyConflict:
    """The refusal of a key that named another job before."""
    return IdempotencyConflict(
        f"the idempotency key {str(idempotency_key)[:64]!r} was used for another job; use a new key for a new job"
    )


def check_tenant(tenant: str) -> None:
    """Raises InvalidInput for what is neither a tenant's name nor `EVERYBODY`."""
    if tenant != EVERYBODY and not re.fullmatch(TENANT, tenant):
        raise InvalidInput(f"{tenant[:80]!r} cannot name a tenant; {IN_WORDS[TENANT]}")


def check_reason(reason: str) -> str:
    """Why a queue is paused, for all who wait; raises InvalidInput if it says nothing."""
    if not reason.strip():
        raise InvalidInput("the reason is empty; say in a few words why the queue is paused")
    return reason[:MESSAGE_LIMIT]


def full(queue: str, max_queued: int, wait_s: float | None) -> QueueFull:
    """The refusal of a queue at its limit; `wait_s` is how long a job would have waited, if that is known."""
    retry_s = _retry_after_s(wait_s)
    waiting = counted(max_queued, "job waits", "jobs wait")
    message = f"{waiting} in the queue {queue!r}, which is its limit; try again in {retry_s:.0f} s"
    return QueueFull(message, retry_s)


def tenant_full(tenant: str, max_queued: int, wait_s: float | None) -> QueueFull:
    """The refusal of a tenant at its own limit."""
    retry_s = _retry_after_s(wait_s)
    waiting = counted(max_queued, f"job of tenant {tenant!r} waits", f"jobs of tenant {tenant!r} wait")
    message = f"{waiting}, which is its limit; try again in {retry_s:.0f} s"
    return QueueFull(message, retry_s)


def memory_full(share: float) -> MemoryFull:
    """The refusal for the sake of the jobs there are, which need what is left of the server's memory to end in."""
    message = (
        f"Redis has more than {share:.0%} of its maxmemory in use, and the rest is for jobs to end in; "
        f"try again in {MEMORY_RETRY_S:.0f} s, forget ended jobs, or raise its maxmemory"
    )
    return MemoryFull(message, MEMORY_RETRY_S)


def too_late(job: VideoJob, wait_s: float) -> DeadlineTooTight:
    """The refusal of a job that would wait longer than it may."""
    deadline_s = job.deadline_s or 0.0
    message = f"the job would wait about {wait_s:.0f} s, and its deadline is {deadline_s:g} s; allow more, or ask later"
    return DeadlineTooTight(message, max(RETRY_S[0], wait_s - deadline_s))


def _retry_after_s(wait_s: float | None) -> float:
    """When a tenth of what waits should be done, so that there is room again for more than the first to come."""
    return UNKNOWN_RETRY_S if wait_s is None else min(max(wait_s / 10, RETRY_S[0]), RETRY_S[1])


def no_such_cursor(job_id: str) -> UnknownJob:
    """The refusal of a listing that is to continue after a job nobody knows."""
    return UnknownJob(f"there is no job {job_id[:64]!r} to list after; start again from the first page")
