"""A job as the video object that clients read. Pure functions of a record; knows neither queue nor store."""

from __future__ import annotations

from typing import Any

from fastflow_ray.errors import CorruptPayload
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.catalogue import model_card
from fastflow_ray.pace import pace_fields
from fastflow_ray.queue.contract import JobRecord

STATUS = {
    JobState.QUEUED: "queued",
    JobState.DELAYED: "queued",
    JobState.RUNNING: "in_progress",
    JobState.SUCCEEDED: "completed",
    JobState.DEAD: "failed",
    JobState.CANCELLED: "failed",
}
CANCELLED = {"code": "cancelled", "message": "the video was cancelled"}
# Written by us for the one who asked; what other codes carry is the system's own text and may name paths.
CODES_WITH_A_MESSAGE_FOR_USERS = frozenset({"invalid_input", "invalid_output", "oom", "worker_lost", "deadline"})
SHORTEST_POLL_MS, LONGEST_POLL_MS = 250, 10_000


def video_view(record: JobRecord, model: str) -> dict[str, Any]:
    """The video object; an unreadable payload shows as such and is no error. It expires with the queue's record."""
    job = _job_of(record, model)
    card = model_card(model)
    frames, fps = job.frames or card.frames, job.fps or card.fps
    return {
        "id": record.job_id,
        "object": "video",
        "model": model,
        "status": STATUS[record.state],
        "progress": _progress_percent(record),
        "created_at": int(record.created_s),
        "completed_at": _whole(record.finished_s) if record.state is JobState.SUCCEEDED else None,
        "expires_at": _whole(record.expires_s),
        "size": f"{job.width or card.width}x{job.height or card.height}",
        "seconds": f"{(frames - 1) / fps:g}",
        "prompt": job.prompt,
        "remixed_from_video_id": None,
        "error": _error(record),
        **_beyond_the_contract(record, job),
    }


def poll_after_ms(record: JobRecord, now_s: float) -> int | None:
    """When it pays to look again: after a tenth of the wait so far, or after one step; None once nothing changes."""
    progress = record.progress
    if STATUS[record.state] == "queued":
        wait_s = (now_s - record.created_s) / 10
    elif record.state is not JobState.RUNNING:
        return None
    elif progress.eta_s is not None and progress.step < progress.own_steps:
        wait_s = progress.eta_s / (progress.own_steps - progress.step)
    else:
        wait_s = 1.0
    return round(min(max(wait_s * 1000, SHORTEST_POLL_MS), LONGEST_POLL_MS))


def _job_of(record: JobRecord, model: str) -> VideoJob:
    try:
        return read_job(record.payload)
    except CorruptPayload:
        return VideoJob(prompt="(unreadable)", model=model)


def _progress_percent(record: JobRecord) -> int:
    """The video's own steps behind us; 100 is said only of one that is there, and audited if it is to be."""
    if record.state is JobState.SUCCEEDED:
        return 100
    steps = record.progress.own_steps
    return min(99, 100 * record.progress.step // steps) if steps and STATUS[record.state] != "queued" else 0


def _error(record: JobRecord) -> dict[str, str] | None:
    if record.state is JobState.CANCELLED:
        return CANCELLED
    if record.state is not JobState.DEAD:
        return None
    error = {"code": "internal", "message": "", **(record.error or {})}
    if error["code"] not in CODES_WITH_A_MESSAGE_FOR_USERS:
        error["message"] = f"the worker could not make this video ({error['code']}); its log says more"
    return {"code": error["code"], "message": error["message"]}


def _beyond_the_contract(record: JobRecord, job: VideoJob) -> dict[str, Any]:
    """What our own client reads: the record, times exact; the openai client keeps fields it does not know."""
    progress = record.progress
    return {
        "state": record.state.value,
        "tenant": record.tenant,
        "attempts": record.attempts,
        "crashes": record.crashes,
        "created_s": record.created_s,
        "claimed_s": record.claimed_s,
        "finished_s": record.finished_s,
        "expires_s": record.expires_s,
        "worker": record.worker,
        "cancel_requested": record.cancel_requested,
        # Told only when there is something to tell: a stream of changes would not rest otherwise.
        "silent_s": int(record.silent_s or 0) if record.silent else None,
        "lease_left_s": int(record.lease_left_s or 0) if record.silent else None,
        "phase": progress.phase if record.state is JobState.RUNNING else None,
        "step": progress.step,
        "steps": progress.steps,
        "audit_steps": progress.audit_steps,
        "eta_s": record.eta_s,
        "request": job.model_dump(mode="json", exclude_none=True),
        "acceleration": _acceleration(record, job),
        "manifest": record.result,
    }


def _acceleration(record: JobRecord, job: VideoJob) -> dict[str, Any]:
    """What skipping really did: so far while the job runs, exactly and with the audit once it is done."""
    asked = {"mode": job.acceleration.value, "pace": pace_fields(job)}
    if record.result is None:
        done = {"made": record.progress.evaluated, "skipped": record.progress.skipped}
        return {**asked, **done, "expected_fidelity_db": None, "audit": None}
    result = record.result
    told = {name: result.get(name) for name in ("expected_fidelity_db", "snapshot", "audit")}  # older ones lack some
    evaluations = result.get("evaluations")
    done = evaluations if isinstance(evaluations, dict) else {}  # of a damaged one is shown what is left
    return {**asked, "mode": result.get("acceleration", asked["mode"]), **done, **told}


def _whole(time_s: float | None) -> int | None:
    return None if time_s is None else int(time_s)
