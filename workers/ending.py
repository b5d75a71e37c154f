"""How an attempt ended, as a value, and what the queue and the store are told about an attempt that ended early."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from fastflow_ray.errors import (
    Draining,
    FastFlowError,
    InvalidInput,
    LeaseLost,
    ModelLoadFailed,
    Permanent,
    QueueUnavailable,
    StorageFailed,
    StoreAway,
)
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.publication import Audit, Evaluations, Manifest, Publisher

log = logging.getLogger(__name__)

RETRY_S = 0.5  # between two attempts to tell a queue that is away
Answer = TypeVar("Answer")


class Fate(StrEnum):
    """What became of an attempt."""

    SUCCEEDED = "succeeded"
    RETRIED = "retried"  # failed; the queue will try again
    DEAD = "dead"  # failed for good
    CANCELLED = "cancelled"
    RELEASED = "released"  # given back, as this worker leaves, cannot read the model, or has no store
    LOST = "lost"  # somebody else has the job
    UNKNOWN = "unknown"  # the queue could not be told; the lease runs out and another attempt settles it


@dataclass(frozen=True)
class Ending:
    """What is known of an attempt when it is over."""

    fate: Fate
    reason: str = ""  # an error's code
    message: str = ""  # one line for people
    duration_s: float = 0.0
    phase_s: Mapping[str, float] = field(default_factory=dict)  # of what this attempt itself made
    evaluations: Evaluations | None = None
    audit: Audit | None = None  # of the video this attempt made
    asked_db: float | None = None  # the fidelity it was to keep
    cancel_s: float | None = None  # from when a user wished it to the end, of a cancelled attempt
    fenced: bool = False  # it had a result, which the queue refused
    published_bytes: int = 0  # of the files this attempt uploaded as the job's result


FATE_OF = {
    JobState.DELAYED: Fate.RETRIED,
    JobState.QUEUED: Fate.RETRIED,
    JobState.DEAD: Fate.DEAD,
    JobState.CANCELLED: Fate.CANCELLED,
    None: Fate.LOST,
}


def end_early(queue: JobQueue, publisher: Publisher, claim: Claim, error: Exception) -> Ending:
    """Tell the queue why this attempt ended: the error's class decides whether there is another."""
    code = error.code if isinstance(error, FastFlowError) else FastFlowError.code
    message = str(error) if isinstance(error, FastFlowError) else f"{type(error).__name__}: {error}"
    try:
        fate = _tell(queue, publisher, claim, error, code, message)
    except QueueUnavailable as silence:
        fate, message = Fate.UNKNOWN, f"{message}; and the queue cannot be told: {silence}"
    return Ending(fate, code, message, cancel_s=_cancel_s(queue, claim) if fate is Fate.CANCELLED else None)


def _cancel_s(queue: JobQueue, claim: Claim) -> float | None:
    """By the queue's clock; None if it cannot be told any more."""
    with suppress(QueueUnavailable):
        record = queue.get(claim.job_id)
        if record and record.finished_s is not None and record.cancel_asked_s is not None:
            return record.finished_s - record.cancel_asked_s
    return None


def _tell(queue: JobQueue, publisher: Publisher, claim: Claim, error: Exception, code: str, message: str) -> Fate:
    match error:
        case QueueUnavailable():
            return Fate.UNKNOWN
        case LeaseLost():
            _discard(publisher, claim)
            return Fate.LOST
        case Draining() | ModelLoadFailed() | StoreAway():
            released = patiently(lambda: queue.release(claim), claim.lease_s)
            return Fate.RELEASED if released else Fate.LOST
        case _:
            again = not isinstance(error, InvalidInput | Permanent)
            return FATE_OF[patiently(lambda: queue.fail(claim, code, message, again), claim.lease_s)]


def patiently(tell: Callable[[], Answer], patience_s: float) -> Answer:
    """Ask again while the queue is away, as long as the lease may hold; raises QueueUnavailable after that."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return tell()
        except QueueUnavailable:
            if time.monotonic() + RETRY_S > deadline_s:
                raise
            time.sleep(RETRY_S)


def tidy(publisher: Publisher, manifest: Manifest, claim: Claim) -> None:
    """Clear up after attempts that died as they uploaded, now that theirs is never going to be the result."""
    try:
        publisher.tidy(manifest, claim.fence)
    except StorageFailed as error:
        log.warning("! %s keeps what dead attempts left behind: %s", claim.job_id, error)


def _discard(publisher: Publisher, claim: Claim) -> None:
    """Objects that nobody will ever name; should the store refuse, its own rules for old objects take them."""
    try:
        publisher.discard(claim.job_id, claim.fence)
    except StorageFailed as error:
        log.warning("! %s left objects behind: %s", claim.job_id, error)
