"""What is left when the faults are over: the queue's books and the store's objects, read by their public contracts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobQueue, JobRecord, QueueDepth
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.seal import unsealed

PAGE = 1_000


@dataclass(frozen=True)
class Published:
    """What the store holds of one job."""

    manifest: dict[str, Any] | None  # None: there is none
    sha256: Mapping[str, str | None] = field(default_factory=dict)  # key → of the bytes; None: no such object


@dataclass(frozen=True)
class FinalState:
    """The books, and for jobs that succeeded what was published; `published` is None where there was no store."""

    records: Sequence[JobRecord]  # as listed: an id that is listed twice is here twice
    depth: QueueDepth
    published: Mapping[str, Published] | None = None


def look(queue: JobQueue, store: Store | None = None) -> FinalState:
    """Read it all."""
    records = all_records(queue)
    succeeded = [record.job_id for record in records if record.state is JobState.SUCCEEDED]
    published = {job_id: published_of(store, job_id) for job_id in succeeded} if store else None
    return FinalState(records, queue.depth(), published)


def all_records(queue: JobQueue) -> list[JobRecord]:
    """Every job on the books, page by page."""
    records: list[JobRecord] = []
    while page := queue.list(limit=PAGE, after=records[-1].job_id if records else None, newest_first=False):
        records += page
    return records


def published_of(store: Store, job_id: str) -> Published:
    """The manifest as it lies there, and the digests of the bytes under the keys it names."""
    manifest = unsealed(store.get_bytes(f"jobs/{job_id}/result.json") or b"")
    if manifest is None:
        return Published(None)
    return Published(manifest, {file["key"]: _sha256(store, file["key"]) for file in manifest["files"].values()})


def _sha256(store: Store, key: str) -> str | None:
    data = store.get_bytes(key)
    return None if data is None else hashlib.sha256(data).hexdigest()
