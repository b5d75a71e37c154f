"""To a fleet through its HTTP API, `/v1/videos`: no Redis, no store, only an address and perhaps a key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from fastflow_ray.errors import (
    DeadlineTooTight,
    FastFlowError,
    IdempotencyConflict,
    InvalidInput,
    QueueFull,
    QueueUnavailable,
    StorageFailed,
    UnknownJob,
)
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobRecord, Progress
from fastflow_ray.queue.listing import listed
from fastflow_ray.queue.worker_card import Service, WorkerCard

VIDEOS = "/v1/videos"
PAGE = 100  # the most the API gives at once
TIMEOUT = httpx.Timeout(60.0, connect=5.0)  # seconds


class OverHttp:
    """One connection pool; for any number of threads."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._address = url.rstrip("/")
        self._http = httpx.Client(
            base_url=_parsed(self._address),
            headers=_header(b"Authorization", "the API key", f"Bearer {api_key}" if api_key else None),
            timeout=TIMEOUT,
            follow_redirects=True,  # a file may be behind a presigned URL; httpx does not send the key there
            transport=httpx.HTTPTransport(retries=2),  # of connecting only, so that nothing is sent twice
        )

    def submit(self, job: VideoJob, idempotency_key: str | None) -> JobRecord:
        """The API takes our own names for the fields."""
        headers = _header(b"Idempotency-Key", "the idempotency key", idempotency_key)
        return self._record(
            self._ask("POST", VIDEOS, json=job.model_dump(mode="json", exclude_none=True), headers=headers)
        )

    def get(self, job_id: str) -> JobRecord | None:
        """The API says 404 for an unknown id and 200 in every state of a known one."""
        answer = self._ask("GET", f"{VIDEOS}/{job_id}", may_be=404)
        return None if answer.status_code == 404 else self._record(answer)

    def records(self) -> Iterator[JobRecord]:
        """Page after page."""
        return listed(self._page, PAGE, newest_first=True)

    def cancel(self, job_id: str) -> JobState | None:
        """Ask for it; the state is that of the job afterwards."""
        answer = self._ask("POST", f"{VIDEOS}/{job_id}/cancel", may_be=404)
        return None if answer.status_code == 404 else self._record(answer).state

    def read(self, record: JobRecord, kind: str) -> Iterator[bytes]:
        """As the network delivers them."""
        try:
            with self._http.stream("GET", f"{VIDEOS}/{record.job_id}/content", params={"variant": kind}) as answer:
                if answer.is_error:
                    answer.read()
                    raise StorageFailed(f"{self._address} has no {kind} of job {record.job_id}: {_message(answer)}")
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def services(self) -> Sequence[Service]:
        """As the API's view of the fleet tells."""
        fleet = self._read(self._ask("GET", "/v1/fleet"))
        try:
            return [
                Service(model, [WorkerCard(**card) for card in fleet["workers"][model]], depth["paused"])
                for model, depth in fleet["queues"].items()
            ]
        except (KeyError, TypeError, AttributeError):
            raise self._stranger() from None

    def close(self) -> None:
        """Close the pool."""
        self._http.close()

    def _page(self, after: str | None) -> Sequence[JobRecord]:
        cursor = {} if after is None else {"after": after}
        answer = self._ask("GET", VIDEOS, may_be=400, params={"limit": PAGE, "order": "desc", **cursor})
        if answer.status_code == 400:
            raise UnknownJob(_message(answer)) if _error(answer).get("param") == "after" else self._refusal(answer)
        return [self._record_of(video) for video in self._read(answer)["data"]]

    def _ask(self, method: str, path: str, may_be: int | None = None, **request: Any) -> httpx.Response:
        """The answer; raises what a status from 400 on means, but for the one that `may_be`."""
        try:
            answer = self._http.request(method, path, **request)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None
        if answer.is_error and answer.status_code != may_be:
            raise self._refusal(answer)
        return answer

    def _record(self, answer: httpx.Response) -> JobRecord:
        return self._record_of(self._read(answer))

    def _record_of(self, video: Mapping[str, Any]) -> JobRecord:
        try:
            return _record_of(video)
        except (KeyError, TypeError, ValueError):
            raise self._stranger() from None

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            value = answer.json()
        except ValueError:
            raise self._stranger() from None
        if not isinstance(value, dict):
            raise self._stranger()
        return value

    def _refusal(self, answer: httpx.Response) -> FastFlowError:
        message = _message(answer)
        match answer.status_code:
            case 401 | 403:
                return InvalidInput(f"{self._address} refuses the key ({message}); set FASTFLOW_API_KEY, or api_key")
            case 404 | 405:
                return self._stranger()
            case 422:
                return IdempotencyConflict(message)
            case 429:
                refusal = DeadlineTooTight if _error(answer).get("code") == DeadlineTooTight.code else QueueFull
                return refusal(message, _seconds(answer.headers.get("Retry-After")))
            case status if status < 500:
                return InvalidInput(message)
        return QueueUnavailable(f"{self._address} answers {answer.status_code}: {message}")

    def _unreachable(self, error: Exception) -> QueueUnavailable:
        return QueueUnavailable(f"{self._address} cannot be reached ({error}); is the fleet up, and the address right?")

    def _stranger(self) -> QueueUnavailable:
        return QueueUnavailable(f"{self._address} does not answer like a fleet's API; give its address without a path")


def _record_of(video: Mapping[str, Any]) -> JobRecord:
    """The record behind a video object."""
    done = video["acceleration"]
    return JobRecord(
        job_id=video["id"],
        state=JobState(video["state"]),
        payload=json.dumps(video["request"], ensure_ascii=False, separators=(",", ":")),
        tenant=video["tenant"],
        attempts=video["attempts"],
        crashes=video["crashes"],
        created_s=video["created_s"],
        claimed_s=video["claimed_s"],
        finished_s=video["finished_s"],
        expires_s=video.get("expires_s"),
        worker=video["worker"],
        progress=Progress(
            phase=video["phase"] or "waiting",
            step=video["step"],
            steps=video["steps"],
            evaluated=done["made"],
            skipped=done["skipped"],
            eta_s=video["eta_s"],
            audit_steps=video.get("audit_steps", 0),
        ),
        result=video["manifest"],
        error=video["error"],
        cancel_requested=video["cancel_requested"],
        silent_s=video["silent_s"],
        lease_left_s=video["lease_left_s"],
    )


def _parsed(address: str) -> httpx.URL:
    try:
        return httpx.URL(address)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{address} is not a valid address ({error}); write http://host:port") from None


def _header(name: bytes, what: str, value: str | None) -> dict[bytes, bytes]:
    """The header as the API reads it, if any; raises InvalidInput, without the value, if none can hold it."""
    if value is None:
        return {}
    if value != value.strip() or not value.isprintable():
        raise InvalidInput(f"{what} has a space at an end, or a line break or the like in it, which HTTP cannot carry")
    return {name: value.encode()}


def _message(answer: httpx.Response) -> str:
    """The envelope's message, or what HTTP says by itself."""
    return str(_error(answer).get("message") or answer.reason_phrase or "no reason given")


def _error(answer: httpx.Response) -> dict[str, Any]:
    """What is in the envelope; empty if the answer has none."""
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _seconds(retry_after: str | None) -> float:
    try:
        return float(retry_after or "")
    except ValueError:
        return 5.0
