"""The seed of a job that leaves it open: drawn with the job's id. Knows nothing of noise."""

from __future__ import annotations

import hashlib

BYTES = 4  # short enough to be read out and typed again


def seed_of(job_id: str) -> int:
    """Every attempt at the job makes the same video, and so does a job asked for again under the same key; < 2^32."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:BYTES], "big")
