"""Publication: an attempt's files become the job's one result. Knows no queue and no frames.

Upload to the attempt's own folder → read back and compare → put the manifest if there is none → whatever manifest
is there now is the result. Any number of attempts may get this far; every one of them returns the same manifest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from fastflow_ray.errors import InvalidInput, StorageFailed
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import (
    AskedPace,
    Audit,
    Evaluations,
    Manifest,
    Outcome,
    StoredFile,
    attempt_folder,
    job_folder,
)

__all__ = ["AskedPace", "Audit", "Evaluations", "Manifest", "Outcome", "Publisher", "StoredFile"]

LocalFiles = Mapping[str, tuple[Path, str]]  # name → (path on this machine, content type)
MENDS = 3  # so often a manifest that arrived damaged is put again
FILE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Publisher:
    """Publishes results in one store; every method may raise StorageFailed."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, job_id: str) -> Manifest | None:
        """The job's published manifest if there is one; StorageFailed if it, or a file it names, is damaged."""
        manifest = self._read(job_id)
        for file in manifest.files.values() if manifest else ():
            size = self.store.size(file.key)
            if size != file.size:
                raise self._damaged(job_id, f"{file.key} has {size or 'no'} bytes instead of {file.size}")
        return manifest

    def publish(self, outcome: Outcome, files: LocalFiles) -> Manifest:
        """Make the files the job's result, unless it has one; the answer is the result, ours or the earlier one.

        `files` maps names to (path, content type); `video` at /tmp/x.mp4 gets the key `jobs/<id>/<fence>/video.mp4`.
        """
        if published := self.find(outcome.job_id):
            return published
        manifest = Manifest(**outcome.model_dump(), files=self._upload_all(outcome, files))
        self._put_manifest(_manifest_key(outcome.job_id), manifest.to_json())
        return self._winner(manifest)

    def discard(self, job_id: str, fence: int) -> int:
        """Delete what an attempt uploaded, unless it was published; how many files. For attempts that lost their lease.

        Never call it while `publish` of the same attempt is still running.
        """
        published = self._read(job_id)
        if published and published.fence == fence:
            return 0
        return self.store.delete_prefix(attempt_folder(job_id, fence))

    def _upload_all(self, outcome: Outcome, files: LocalFiles) -> dict[str, StoredFile]:
        try:
            return {name: self._upload(outcome, name, *local) for name, local in files.items()}
        except StorageFailed:
            with suppress(StorageFailed):  # the first failure tells more
                self.discard(outcome.job_id, outcome.fence)
            raise

    def _upload(self, outcome: Outcome, name: str, path: Path, content_type: str) -> StoredFile:
        if not FILE_NAME.fullmatch(name):
            raise InvalidInput(f"{name[:80]!r} cannot name a file of a result; use a word such as video")
        key = f"{attempt_folder(outcome.job_id, outcome.fence)}{name}{path.suffix}"
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.store.put_file(key, path, content_type)
        self._verify(key, sha256)
        return StoredFile(key=key, size=path.stat().st_size, sha256=sha256, content_type=content_type)

    def _put_manifest(self, key: str, text: bytes) -> None:
        """Unless there is one. A damaged one would bar the job for ever, so what was put is read back as files are."""
        if not self.store.put_if_absent(key, text, "application/json"):
            return
        for _ in range(MENDS):
            if self.store.get_bytes(key) == text:
                return
            self.store.put_bytes(key, text, "application/json")  # the key is ours: nobody else's put was accepted
        self._verify(key, hashlib.sha256(text).hexdigest())

    def _verify(self, key: str, sha256: str) -> None:
        """Read back and hash here: the checksums that servers offer are not the same everywhere, nor always checked."""
        stored = self.store.get_bytes(key)
        if stored is None or hashlib.sha256(stored).hexdigest() != sha256:
            raise StorageFailed(f"{key} in {self.store.url} is not what was uploaded; check the store, then try again")

    def _winner(self, ours: Manifest) -> Manifest:
        winner = self.find(ours.job_id)
        if winner is None:
            raise StorageFailed(f"{_manifest_key(ours.job_id)} is gone from {self.store.url}; does a rule delete it?")
        if winner.fence != ours.fence:
            self.discard(ours.job_id, ours.fence)
        return winner

    def _read(self, job_id: str) -> Manifest | None:
        text = self.store.get_bytes(_manifest_key(job_id))
        if text is None:
            return None
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            raise self._damaged(job_id, f"it is not a manifest ({error.error_count()} errors)") from error
        if manifest.job_id != job_id:
            raise self._damaged(job_id, f"it tells of job {manifest.job_id}")
        return manifest

    def _damaged(self, job_id: str, what: str) -> StorageFailed:
        key = _manifest_key(job_id)
        return StorageFailed(f"{key} in {self.store.url} cannot be trusted: {what}; delete it to let the job run again")


def _manifest_key(job_id: str) -> str:
    return f"{job_folder(job_id)}result.json"
