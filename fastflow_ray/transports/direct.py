"""Straight to the fleet's Redis and store: one queue per model of the catalogue. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from fastflow_ray.errors import InvalidInput, StorageFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.admission import admit, relative_work
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.queues import Queues
from fastflow_ray.queue.worker_card import Service
from fastflow_ray.storage import open_store


class Direct:
    """Speaks to Redis for jobs and to the store for files; the store may be None until a file is wanted."""

    def __init__(self, redis_url: str, store_url: str | None, **limits: Any) -> None:
        """`limits` are fields of QueueLimits. Connects with the first call; raises InvalidInput for a malformed Redis
        URL."""
        self._queues = Queues({model: open_queue(redis_url, model, **limits) for model in catalogue()})
        self._store_url = store_url

    def submit(self, job: VideoJob, idempotency_key: str | None) -> JobRecord:
        """Refuse what no worker could make, before anything is sent."""
        admit(job)
        return self._queues.submit(job, idempotency_key, relative_work(job)).record

    def get(self, job_id: str) -> JobRecord | None:
        """From whichever queue knows it."""
        found = self._queues.get(job_id)
        return found.record if found else None

    def records(self) -> Iterator[JobRecord]:
        """The queues' own orders merged by time of submission."""
        return (found.record for found in self._queues.jobs())

    def cancel(self, job_id: str) -> JobState | None:
        """In whichever queue knows it."""
        found = self._queues.get(job_id)
        return found.queue.cancel(job_id) if found else None

    def read(self, record: JobRecord, kind: str) -> Iterator[bytes]:
        """The file under the key that the job's manifest names."""
        if self._store_url is None:
            raise InvalidInput("no store was given; pass the fleet's: Client(redis_url, store_url)")
        key = str((record.result or {})["files"][kind]["key"])
        with closing(open_store(self._store_url)) as store:
            data = store.get_bytes(key)
        if data is None:
            raise StorageFailed(f"{self._store_url} holds no {key} of job {record.job_id}; is it the workers' store?")
        yield data

    def services(self) -> Sequence[Service]:
        """From the cards the workers lay down."""
        return self._queues.services()

    def close(self) -> None:
        """Let the connections go."""
        self._queues.close()
