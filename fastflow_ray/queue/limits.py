"""What a queue allows, and the times its users keep to. Plain numbers, the same for every implementation."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastflow_ray.jobs.retry import RetryPolicy

LEASE_S = 60.0  # a job belongs to its worker this long after the last beat
BEAT_S = 10.0  # between two beats of a worker
RECONNECT_S = 5.0  # a lost connection is tried again for so long
GRACE_S = 30.0  # between a reaper's two looks: above two beats and RECONNECT_S
LOOK_S = 5.0  # at most so long a reaper rests between two looks
OVERDUE_AFTER_S = BEAT_S + RECONNECT_S  # since the last beat; the time left that it told is told no more
SILENT_AFTER_S = 2.5 * BEAT_S  # since the last beat; a reader of a job is told
STALL_S = 300.0  # without a step for so long, a worker stops beating
HOLD_S = 30.0  # for an idempotency key, while its job is stored: a few answers, each of a few seconds at most
MAX_QUEUED = 10_000  # jobs that may wait in one queue
RESULT_TTL_S = 86_400.0  # the record of an ended job stays so long
MAX_CRASHES = 2  # attempts that may end without a word before the job counts as poison

PAGE_LIMIT = 1_000  # records per page of a listing, however many are asked for
MESSAGE_LIMIT = 1_000  # characters kept of an error message


@dataclass(frozen=True)
class QueueLimits:
    """The defaults of a production queue."""

    max_queued: int = MAX_QUEUED  # queued and delayed together; beyond: QueueFull
    max_memory_share: float = 0.9  # of the server's maxmemory, if it has one; beyond: QueueFull
    max_crashes: int = MAX_CRASHES
    result_ttl_s: float = RESULT_TTL_S
    retry: RetryPolicy = field(default_factory=RetryPolicy)
