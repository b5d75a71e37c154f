"""A job as the text that travels through the queue: JSON, never pickle, so that reading it can run nothing."""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from fastflow_ray.errors import CorruptPayload
from fastflow_ray.jobs.parsing import explain
from fastflow_ray.jobs.video_job import VideoJob


def write_job(job: VideoJob) -> str:
    """The job as compact JSON; fields left at None are left out, the same job always gives the same text."""
    return job.model_dump_json(exclude_none=True)


def digest(payload: str) -> str:
    """The sha256 of a payload, in hex: jobs of the same digest ask for the same video."""
    return hashlib.sha256(payload.encode()).hexdigest()


def read_job(payload: str) -> VideoJob:
    """The job back from its text; raises CorruptPayload, which no retry can help."""
    try:
        return VideoJob.model_validate_json(payload)
    except ValidationError as invalid:
        raise CorruptPayload(f"the payload in the queue is not a job ({explain(invalid)}); submit it again") from None
