"""Reads a job's hash as a JobRecord. Fields edited by hand or half lost never break a listing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord, Progress

DAMAGED = {"code": "internal", "message": "the record of this job is damaged; forget it and submit the job again"}
FAILED = frozenset({JobState.DEAD, JobState.CANCELLED, JobState.DELAYED})
PROGRESS = TypeAdapter(Progress)
LARGEST = 2**53  # what Lua and Redis scores can hold


def read_record(job_id: str, stored: Mapping[str, str]) -> JobRecord:
    """The record, with empty or zero for what cannot be read; a job without a legible state shows as dead."""
    state = _state(stored.get("state"))
    return JobRecord(
        job_id=job_id,
        state=state or JobState.DEAD,
        payload=stored.get("payload", ""),
        tenant=stored.get("tenant", ""),
        attempts=whole_number(stored.get("attempts")),
        crashes=whole_number(stored.get("crashes")),
        created_s=whole_number(stored.get("created_ms")) / 1000,
        claimed_s=_seconds(stored.get("claimed_ms")),
        finished_s=_seconds(stored.get("finished_ms")),
        expires_s=_seconds(stored.get("expires_ms")),
        worker=stored.get("worker") or None,
        progress=_progress(stored.get("progress")),
        result=_object(stored.get("result")) if state is JobState.SUCCEEDED else None,
        error=_error(state, stored),
        cancel_requested=stored.get("cancel") == "1",
        cancel_asked_s=_seconds(stored.get("cancel_ms")),
        silent_s=_duration_s(stored.get("silent_ms")),
        lease_left_s=_duration_s(stored.get("lease_left_ms")),
    )


def write_progress(progress: Progress | None) -> str:
    """A worker's progress as the JSON that `read_record` reads; none: the empty string."""
    return PROGRESS.dump_json(progress).decode() if progress else ""


def whole_number(text: str | None) -> int:
    """A whole number as the scripts write it; anything else, after an edit by hand, reads as 0."""
    try:
        number = int(text or "")
    except ValueError:
        return 0
    return number if 0 <= number <= LARGEST else 0


def _state(text: str | None) -> JobState | None:
    return JobState(text) if text in set(JobState) else None


def _error(state: JobState | None, stored: Mapping[str, str]) -> dict[str, str] | None:
    if state is None:
        return DAMAGED
    if state not in FAILED or not stored.get("error_code"):
        return None
    return {"code": stored["error_code"], "message": stored.get("error_message", "")}


def _seconds(text: str | None) -> float | None:
    milliseconds = whole_number(text)
    return milliseconds / 1000 if milliseconds else None


def _duration_s(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = whole_number(text.removeprefix("-")) / 1000
    return -seconds if text.startswith("-") else seconds


def _object(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _progress(text: str | None) -> Progress:
    try:
        return PROGRESS.validate_json(text or "{}")
    except ValidationError:
        return Progress()
