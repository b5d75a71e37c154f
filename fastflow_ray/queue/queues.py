"""The queues of all models seen as one: whose job an id is, and all jobs in the order of their submission.

An id does not tell its queue, so each is asked in turn; there are as many as models in the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import dropwhile, islice

from fastflow_ray.errors import IdempotencyConflict, UnknownJob
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobQueue, JobRecord, QueueDepth
from fastflow_ray.queue.listing import listed
from fastflow_ray.queue.submission import settle
from fastflow_ray.queue.worker_card import Service

CHUNK = 100  # records per round trip


@dataclass(frozen=True)
class Found:
    """A job and the queue it is in."""

    queue: JobQueue
    record: JobRecord


@dataclass(frozen=True)
class Page:
    """Some jobs in order, and whether more follow."""

    jobs: tuple[Found, ...]
    has_more: bool


Position = Callable[[Found], tuple[float, int]]  # in a listing: time, then number of the queue


class Queues:
    """One queue per model; every method may raise QueueUnavailable."""

    def __init__(self, by_model: Mapping[str, JobQueue]) -> None:
        self._by_model = dict(by_model)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have a queue here."""
        return tuple(self._by_model)

    def submit(self, job: VideoJob, idempotency_key: str | None, cost: float = 1.0) -> Found:
        """Acknowledge a job for a model that has a queue; raises QueueFull and IdempotencyConflict."""
        if idempotency_key is not None and len(self._by_model) > 1:
            self._refuse_a_second_model(job, idempotency_key)
        queue = self._by_model[job.model]
        return Found(queue, queue.submit(job, idempotency_key, cost))

    def get(self, job_id: str) -> Found | None:
        """The job of that id, or None."""
        for queue in self._by_model.values():
            if record := queue.get(job_id):
                return Found(queue, record)
        return None

    def find(self, job_id: str) -> Found:
        """The job of that id; raises UnknownJob."""
        if found := self.get(job_id):
            return found
        raise UnknownJob(f"there is no video {job_id[:80]!r}, or its record has expired")

    def jobs(self, newest_first: bool = True, after: Found | None = None) -> Iterator[Found]:
        """All jobs by time of submission, or those that follow the job `after`; fetched as they are asked for.

        Of jobs that came in one moment, each queue keeps its own order, and the queues come in theirs.
        """
        numbers = {queue.name: number for number, queue in enumerate(self._by_model.values())}

        def position(found: Found) -> tuple[float, int]:
            created_s = found.record.created_s
            return -created_s if newest_first else created_s, numbers[found.queue.name]

        each = (_jobs_of(queue, newest_first, after, position) for queue in self._by_model.values())
        return merge(*each, key=position)

    def page(self, limit: int, after: str | None, newest_first: bool) -> Page:
        """At most `limit` jobs following the job `after` by time of submission; raises UnknownJob if that is gone."""
        last = None if after is None else self.find(after)
        shown = tuple(islice(self.jobs(newest_first, last), limit + 1))
        return Page(shown[:limit], has_more=len(shown) > limit)

    def depths(self) -> dict[str, QueueDepth]:
        """Per model, how many jobs are in which state."""
        return {model: queue.depth() for model, queue in self._by_model.items()}

    def services(self) -> list[Service]:
        """Per model, who serves it."""
        return [Service(model, queue.workers(), queue.depth().paused) for model, queue in self._by_model.items()]

    def close(self) -> None:
        """Let all connections go."""
        for queue in self._by_model.values():
            queue.close()

    def _refuse_a_second_model(self, job: VideoJob, idempotency_key: str) -> None:
        """A queue sees a key used twice in itself only; a request that changed nothing but the model is another one.

        Of two that come at once neither finds the other's job, so the key is held first, always in the same queue. Of a
        job that is refused it stays held: another request for the same model may be storing its own under this hold,
        and a call that was repeated on a new connection may still arrive by the old one, and store what was refused.
        """
        holder = self._by_model[min(self._by_model)].hold(job.tenant, idempotency_key, job.model)
        if holder != job.model:
            raise IdempotencyConflict(f"this idempotency key was used before, for a video by {holder}")
        for model, queue in self._by_model.items():
            if model != job.model and queue.get(settle(queue.name, job, idempotency_key).job_id):
                raise IdempotencyConflict(f"this idempotency key was used before, for a video by {model}")


def _jobs_of(queue: JobQueue, newest_first: bool, after: Found | None, position: Position) -> Iterator[Found]:
    """A queue continues after a job of its own by itself; in another one, the place has to be found."""
    if after is None:
        return _listed(queue, newest_first, None)
    if after.queue.name == queue.name:
        return _listed(queue, newest_first, after.record.job_id)
    return dropwhile(lambda found: position(found) < position(after), _listed(queue, newest_first, None))


def _listed(queue: JobQueue, newest_first: bool, last: str | None) -> Iterator[Found]:
    records = listed(lambda after: queue.list(CHUNK, after, newest_first), CHUNK, newest_first, last)
    return (Found(queue, record) for record in records)
