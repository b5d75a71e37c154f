"""What every queue settles about a job before storing it (id, seed, digest), and the words it refuses one with."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from fastflow_ray.errors import IdempotencyConflict, InvalidInput, QueueFull
from fastflow_ray.jobs.payload import digest, write_job
from fastflow_ray.jobs.seed import seed_of
from fastflow_ray.jobs.video_job import VideoJob


@dataclass(frozen=True)
class Submission:
    """A job ready to be stored."""

    job_id: str
    payload: str  # with its seed settled, so that every attempt makes the same video
    digest: str  # of the payload, by which a key's second use for another job is noticed


def settle(queue: str, job: VideoJob, idempotency_key: str | None) -> Submission:
    """Derive the id from (queue, tenant, key), or draw one; the seed from the id if the job leaves it open."""
    job_id = _job_id(queue, job.tenant, idempotency_key)
    payload = write_job(job if job.seed is not None else job.model_copy(update={"seed": seed_of(job_id)}))
    return Submission(job_id, payload, digest(payload))


def _job_id(queue: str, tenant: str, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return secrets.token_hex(16)
    if not idempotency_key:  # a script whose variable was empty: all its jobs would be one
        raise InvalidInput("the idempotency key is empty; leave it out, or give one that names this job alone")
    # Two queues may share a store, so the queue's name is part of the id; neither name nor tenant can hold a colon.
    return hashlib.sha256(f"{queue}:{tenant}:{idempotency_key}".encode()).hexdigest()[:32]


def conflict(idempotency_key: str | None) -> IdempotencyConflict:
    """The refusal of a key that named another job before."""
    return IdempotencyConflict(
        f"the idempotency key {str(idempotency_key)[:64]!r} was used for another job; use a new key for a new job"
    )


def full(queue: str, max_queued: int) -> QueueFull:
    """The refusal of a queue at its limit."""
    return QueueFull(f"{max_queued} jobs wait in the queue {queue!r}, which is its limit; try again in a moment")


def no_such_cursor(job_id: str) -> InvalidInput:
    """The refusal of a listing that is to continue after a job nobody knows."""
    return InvalidInput(f"there is no job {job_id[:64]!r} to list after; start again from the first page")
