"""What a client needs of the way to the fleet. Jobs go in; records and bytes come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.worker_card import Service


class Transport(Protocol):
    """Every method may raise QueueUnavailable; each names the address and the remedy."""

    def submit(self, job: VideoJob, idempotency_key: str | None) -> JobRecord:
        """Acknowledge a job. Raises UnknownModel, InvalidInput, IdempotencyConflict and QueueFull."""

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now, or None if there is no such job."""

    def records(self) -> Iterator[JobRecord]:
        """All jobs, newest first, fetched in pages as they are asked for."""

    def cancel(self, job_id: str) -> JobState | None:
        """Cancel now, or at the next step of a running job; the state it then has; None: no such job."""

    def read(self, record: JobRecord, kind: str) -> Iterator[bytes]:
        """The bytes of a succeeded job's file, such as "video" or "thumbnail", in pieces. Raises StorageFailed."""

    def services(self) -> Sequence[Service]:
        """Per model, who serves it."""

    def close(self) -> None:
        """Let the connections go."""
