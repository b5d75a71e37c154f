"""Submit videos to a fleet, follow them and fetch them; the same six lines over `redis://` and over `http(s)://`.

Knows nothing of models or tensors: it runs where neither torch nor Ray nor a GPU is installed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastflow_ray.atomic_file import replacing
from fastflow_ray.errors import InvalidInput, JobCancelled, JobFailed, StorageFailed, UnknownJob
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.patience import Patience
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.worker_card import Service
from fastflow_ray.storage.manifest import JOB_ID
from fastflow_ray.transports.contract import Transport

POLL_S = 0.5


class Client:
    """A fleet, as those who want videos see it.

    Made from the fleet's Redis and store, or from the address of its HTTP API and, if it asks for one, the key. A fleet
    that was told other limits than are the default, such as `max_queued`, wants to hear them from clients of its Redis
    too; an HTTP API keeps to its own. Models of the fleet's own are known to an HTTP API likewise; a client of
    its Redis reads of them in the file that FASTFLOW_MODELS names.
    """

    def __init__(self, url: str, store_url: str | None = None, api_key: str | None = None, **limits: Any) -> None:
        """`limits` are fields of `QueueLimits`; raises InvalidInput if they are given to an HTTP API."""
        self._transport = _transport(url, store_url, api_key, limits)

    def submit(self, prompt: str, *, idempotency_key: str | None = None, **fields: Any) -> Job:
        """Acknowledge one video; `fields` are those of `VideoJob`. Once this returns, the job cannot be lost.

        The same `idempotency_key` with the same fields answers the job there is, and a day after its end, when the
        queue has forgotten it, the same video again; with other fields it raises IdempotencyConflict, and after that
        day the new job fails for as long as the old video is in the store. Raises InvalidInput (a field), UnknownModel,
        QueueFull and QueueUnavailable too.
        """
        record = self._transport.submit(parse_job({"prompt": prompt, **fields}), idempotency_key)
        return Job(record.job_id, self._transport)

    def job(self, job_id: str) -> Job:
        """The handle of a job submitted earlier, by anybody; asks nothing yet. Raises UnknownJob for what is no id."""
        if not JOB_ID.fullmatch(job_id):
            raise _unknown(job_id)
        return Job(job_id, self._transport)

    def jobs(self, limit: int = 20, state: JobState | None = None) -> list[JobRecord]:
        """At most `limit` jobs, newest first, of one state or of all."""
        return list(islice((job for job in self._transport.records() if state in (None, job.state)), limit))

    def services(self) -> list[Service]:
        """Per model, the workers that serve it, and why its queue is paused if it is."""
        return list(self._transport.services())

    def close(self) -> None:
        """Let the connections go; leaving a `with` block does the same."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Job:
    """The handle of one job: its `id`, and what can be asked of it."""

    def __init__(self, job_id: str, transport: Transport) -> None:
        self.id = job_id
        self._transport = transport

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def status(self) -> JobRecord:
        """The job as it is now: state, progress, result or error. Raises UnknownJob."""
        record = self._transport.get(self.id)
        if record is None:
            raise _unknown(self.id)
        return record

    def watch(self, poll_s: float = POLL_S) -> Iterator[JobRecord]:
        """Yield the record now and after each change, the last time when the job has ended. As patient as `wait`."""
        seen = None
        for record in self._looks(poll_s):
            if record != seen:
                yield record
            if record.state in TERMINAL:
                return
            seen = record

    def __iter__(self) -> Iterator[JobRecord]:
        return self.watch()

    def wait(self, timeout_s: float | None = None, poll_s: float = POLL_S) -> JobRecord:
        """Return when the video is there. Raises JobFailed, JobCancelled, or TimeoutError while the job goes on.

        A fleet that answered once may be away for a minute, as while its API or its Redis is replaced; then it raises
        QueueUnavailable.
        """
        until_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        looks = self._looks(poll_s, until_s)
        while (record := next(looks)).state not in TERMINAL:
            if time.monotonic() >= until_s:
                raise TimeoutError(f"job {self.id} is still {record.state} after {timeout_s:g} s and goes on")
        return succeeded(record)

    def _looks(self, poll_s: float, until_s: float = math.inf) -> Iterator[JobRecord]:
        """The record, again and again; the last pause ends at `until_s` of the monotonic clock."""
        patience = Patience()
        while True:
            if (record := patience.ask(self.status, until_s)) is not None:
                yield record
            time.sleep(max(0.0, min(poll_s, until_s - time.monotonic())))

    def cancel(self) -> JobState:
        """Cancel now, or at the next step if the job runs; the state it then has. Raises UnknownJob."""
        state = self._transport.cancel(self.id)
        if state is None:
            raise _unknown(self.id)
        return state

    def download(self, path: str | Path, kind: str = "video") -> Path:
        """Save the "video" (mp4), its "thumbnail" or "spritesheet" (png), whole or not at all, its sha256 proven.

        Raises InvalidInput while there is no result yet, JobFailed, JobCancelled and StorageFailed.
        """
        record = self.status()
        if record.state not in TERMINAL:
            raise InvalidInput(f"job {self.id} is {record.state}, there is no {kind} yet; wait for it first")
        digests = _digests(succeeded(record))
        if kind not in digests:
            raise InvalidInput(f"job {self.id} has no {kind}; it has: {', '.join(sorted(digests))}")
        with replacing(Path(path)) as sibling:
            found = _save(self._transport.read(record, kind), sibling)
            if found != digests[kind]:
                raise StorageFailed(f"the {kind} of job {self.id} arrived damaged: sha256 {found[:12]}…; try again")
        return Path(path)


def succeeded(record: JobRecord) -> JobRecord:
    """The record of an ended job if it has a video; raises JobFailed or JobCancelled if it has none."""
    if record.state is JobState.CANCELLED:
        raise JobCancelled(f"job {record.job_id} was cancelled")
    if record.state is JobState.DEAD:
        error = {"code": "internal", "message": "no reason recorded", **(record.error or {})}
        sentence = f"job {record.job_id} failed in attempt {record.attempts}: {error['message']}"
        raise JobFailed(sentence, error["code"])
    return record


def is_http(url: str) -> bool:
    """Whether a fleet's address is that of its HTTP API; otherwise it is its Redis."""
    return url.startswith(("http://", "https://"))


def _unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"there is no job {job_id[:80]!r}, or its record has expired; `fastflow-ray list` shows the jobs")


def _digests(record: JobRecord) -> dict[str, str]:
    """What files its result has, by kind, and the sha256 of each; raises StorageFailed if that cannot be told."""
    try:
        return {kind: str(file["sha256"]) for kind, file in (record.result or {})["files"].items()}
    except (KeyError, TypeError, AttributeError):
        raise StorageFailed(
            f"the result of job {record.job_id} is damaged; look at its result.json in the store"
        ) from None


def _transport(url: str, store_url: str | None, api_key: str | None, limits: Mapping[str, Any]) -> Transport:
    if is_http(url):
        if limits:
            raise InvalidInput(f"an HTTP API has limits of its own; leave out {', '.join(limits)}")
        from fastflow_ray.transports.over_http import OverHttp

        return OverHttp(url, api_key)
    from fastflow_ray.transports.direct import Direct

    return Direct(url, store_url, **limits)


def _save(pieces: Iterator[bytes], path: Path) -> str:
    digest = sha256()
    with path.open("wb") as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
