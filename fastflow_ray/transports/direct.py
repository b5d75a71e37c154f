"""Straight to the fleet's Redis and store: one queue per model of the catalogue. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from fastflow_ray.errors import InvalidInput, StorageFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.catalogue import CATALOGUE, model_card
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue, JobRecord
from fastflow_ray.storage import open_store

PAGE = 100  # records per round trip


class Direct:
    """Speaks to Redis for jobs and to the store for files; the store may be None until a file is wanted."""

    def __init__(self, redis_url: str, store_url: str | None) -> None:
        self._redis_url = redis_url
        self._store_url = store_url
        self._queues: dict[str, JobQueue] = {}

    def submit(self, job: VideoJob, idempotency_key: str | None) -> JobRecord:
        """Refuse a model that no worker could serve, before anything is sent."""
        return self._queue(model_card(job.model).name).submit(job, idempotency_key)

    def get(self, job_id: str) -> JobRecord | None:
        """An id does not tell its queue, so each is asked; there are as many as models."""
        return next((record for queue in self._all_queues() if (record := queue.get(job_id))), None)

    def records(self) -> Iterator[JobRecord]:
        """The queues' own orders merged by time of submission."""
        return merge(*map(_newest_first, self._all_queues()), key=lambda record: -record.created_s)

    def cancel(self, job_id: str) -> JobState | None:
        """The first queue that knows the job answers."""
        return next((state for queue in self._all_queues() if (state := queue.cancel(job_id))), None)

    def read(self, record: JobRecord, kind: str) -> Iterator[bytes]:
        """The file under the key that the job's manifest names."""
        if self._store_url is None:
            raise InvalidInput("no store was given; pass the fleet's: Client(redis_url, store_url)")
        key = str((record.result or {})["files"][kind]["key"])
        data = open_store(self._store_url).get_bytes(key)
        if data is None:
            raise StorageFailed(f"{self._store_url} holds no {key} of job {record.job_id}; is it the workers' store?")
        yield data

    def close(self) -> None:
        """Forget the queues; each one's connections close with it."""
        self._queues.clear()

    def _all_queues(self) -> Iterator[JobQueue]:
        return map(self._queue, CATALOGUE)

    def _queue(self, model: str) -> JobQueue:
        if model not in self._queues:
            self._queues[model] = open_queue(self._redis_url, model)
        return self._queues[model]


def _newest_first(queue: JobQueue) -> Iterator[JobRecord]:
    last: str | None = None
    while page := queue.list(PAGE, after=last):
        yield from page
        last = page[-1].job_id
