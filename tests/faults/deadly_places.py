"""Nine places in the life of an attempt at which its worker may be killed, from the inside and to the instruction.

A job that is to kill its worker says where in its prompt: `die: manifest put`. Only its first attempt dies, unless it
says more: `die: claimed, then manifest put`.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastflow_ray.errors import CorruptPayload
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.contract import Store

PREFIX, THEN = "die: ", ", then "
PLACES = (
    "claim unanswered",  # the server gave the job, and nobody has heard it
    "claimed",
    "first step",
    "last step",
    "nothing uploaded",
    "one file uploaded",
    "all files uploaded",
    "manifest put",
    "completion unanswered",
)
PUBLISHED = PLACES[-2:]  # from here on the video is there, and nobody makes it again


class Deaths:
    """Which job in hand kills its worker, and where."""

    def __init__(self) -> None:
        self._places: dict[str | int, str] = {}  # by job, and by seed for those who know no more

    def prepare(self, claim: Claim) -> None:
        """Read the job's wish."""
        try:
            job = read_job(claim.payload)
        except CorruptPayload:
            return
        wishes = dict(enumerate(job.prompt.removeprefix(PREFIX).split(THEN), start=1))
        wanted = wishes.get(claim.attempt, "")
        self._places |= {claim.job_id: wanted, job.seed or 0: wanted}

    def at(self, place: str, whose: str | int) -> None:
        """Die if it is here."""
        if place == self._places.get(whose):
            os.kill(os.getpid(), signal.SIGKILL)

    def at_step(self, spec: GenerationSpec, step: int) -> None:
        """Die before, after the first or at the last step."""
        if place := {0: "claimed", 1: "first step", spec.steps - 1: "last step"}.get(step):
            self.at(place, spec.seed)


class DeadlyQueue:
    """A queue whose user may die when the server has answered and before he hears it."""

    def __init__(self, queue: JobQueue, deaths: Deaths) -> None:
        self._queue = queue
        self._deaths = deaths

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def claim(self, worker: str, lease_s: float, nonce: str) -> Claim | None:
        """Take a job."""
        if claim := self._queue.claim(worker, lease_s, nonce):
            self._deaths.prepare(claim)
            self._deaths.at("claim unanswered", claim.job_id)
        return claim

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Say that it is done."""
        accepted = self._queue.complete(claim, result)
        self._deaths.at("completion unanswered", claim.job_id)
        return accepted


class DeadlyStore:
    """A store whose user may die between two objects."""

    def __init__(self, store: Store, deaths: Deaths) -> None:
        self._store = store
        self._deaths = deaths
        self._files: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_file(self, key: str, path: Path, content_type: str, on_progress: Callable[[], None] = lambda: None) -> None:
        """Upload one of the job's files."""
        job_id = _job_of(key)
        self._deaths.at(("nothing uploaded", "one file uploaded")[min(self._files[job_id], 1)], job_id)
        self._store.put_file(key, path, content_type, on_progress)
        self._files[job_id] += 1

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Put the manifest."""
        self._deaths.at("all files uploaded", _job_of(key))
        put = self._store.put_if_absent(key, data, content_type)
        self._deaths.at("manifest put", _job_of(key))
        return put


class BlindStore:
    """A store whose user does not see that there is a manifest before he puts his own: a mistake, for a control."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_bytes(self, key: str, *on_progress: Callable[[], None]) -> bytes | None:
        """What is there; of manifests, only those he tried to put."""
        unseen = key.endswith("/result.json") and key not in self._seen
        return None if unseen else self._store.get_bytes(key, *on_progress)

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Put the manifest."""
        self._seen.add(key)
        return self._store.put_if_absent(key, data, content_type)


def _job_of(key: str) -> str:
    return key.split("/")[1]
