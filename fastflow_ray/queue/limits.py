"""What a queue allows. Plain numbers, the same for every implementation."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastflow_ray.jobs.retry import RetryPolicy

PAGE_LIMIT = 1_000  # records per page of a listing, however many are asked for
MESSAGE_LIMIT = 1_000  # characters kept of an error message


@dataclass(frozen=True)
class QueueLimits:
    """The defaults of a production queue."""

    max_queued: int = 10_000  # queued and delayed together; beyond: QueueFull
    max_crashes: int = 2  # attempts that may end without a word before the job counts as poison
    result_ttl_s: float = 86_400.0  # how long the record of an ended job stays
    retry: RetryPolicy = field(default_factory=RetryPolicy)
