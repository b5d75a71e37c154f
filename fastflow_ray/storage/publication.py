"""Publication: an attempt's files become the job's one result. Knows no queue and no frames.

Upload to the attempt's own folder → read back and compare → put the manifest if there is none → whatever manifest
is there now is the result. Any number of attempts may get this far; every one of them returns the same manifest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from fastflow_ray.counted import counted
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
from fastflow_ray.storage.manifest_shelf import ManifestShelf, manifest_key

__all__ = ["AskedPace", "Audit", "Evaluations", "Manifest", "Outcome", "Publisher", "StoredFile"]

LocalFiles = Mapping[str, tuple[Path, str]]  # name → (path on this machine, content type)
FILE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Publisher:
    """Publishes results in one store; every method may raise StorageFailed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._shelf = ManifestShelf(store)

    def find(self, job_id: str) -> Manifest | None:
        """The job's published manifest if there is one; StorageFailed if it, or a file it names, cannot be trusted."""
        manifest = self._shelf.find(job_id)
        for file in manifest.files.values() if manifest else ():
            size = self.store.size(file.key)
            if size != file.size:
                what = f"{file.key} has {counted(size, 'byte') if size else 'no bytes'} instead of {file.size}"
                where = f"the result of {job_id} in {self.store.url}"
                remedy = f"delete each {job_folder(job_id)}result*.json to let the job run again"
                raise StorageFailed(f"{where} cannot be trusted: {what}; {remedy}")
        return manifest

    def publish(self, outcome: Outcome, files: LocalFiles, on_progress: Callable[[], None] = lambda: None) -> Manifest:
        """Make the files the job's result, unless it has one; the answer is the result, ours or the earlier one.

        `files` maps names to (path, content type); `video` at /tmp/x.mp4 gets the key `jobs/<id>/<fence>/video.mp4`.
        `on_progress` hears of each file before it is sent and before it is read back, and of every part of it that
        went or came; it may raise to end the attempt, and may be called from other threads.
        """
        if published := self.find(outcome.job_id):
            return published
        manifest = Manifest(**outcome.model_dump(), files=self._upload_all(outcome, files, on_progress))
        self._shelf.put(manifest)
        return self._winner(manifest)

    def discard(self, job_id: str, fence: int) -> int:
        """Delete what an attempt uploaded, unless it was published; how many files. For attempts that lost their lease.

        Never call it while `publish` of the same attempt is still running.
        """
        published = self._shelf.find(job_id)
        if published and published.fence == fence:
            return 0
        return self.store.delete_prefix(attempt_folder(job_id, fence))

    def tidy(self, winner: Manifest, fence: int) -> int:
        """Delete what attempts before that of `fence` uploaded in vain and left behind as they died; how many files.
        For the attempt that completed the job with the manifest `winner`.

        Where conditions are ignored nothing is deleted: an attempt thought dead may yet put its own manifest over the
        winner's, and would then need its files.
        """
        folder = job_folder(winner.job_id)

        def spared(key: str) -> bool:
            name = key.removeprefix(folder).split("/")[0]
            return not (name.isdecimal() and winner.fence != int(name) < fence)

        return self.store.delete_prefix(folder, spared) if self.store.conditional else 0

    def _upload_all(
        self, outcome: Outcome, files: LocalFiles, on_progress: Callable[[], None]
    ) -> dict[str, StoredFile]:
        with ExitStack() as on_failure:
            on_failure.callback(self._try_to_discard, outcome)
            uploaded = {name: self._upload(outcome, name, *local, on_progress) for name, local in files.items()}
            on_failure.pop_all()
        return uploaded

    def _try_to_discard(self, outcome: Outcome) -> None:
        with suppress(StorageFailed):  # the first failure tells more
            self.discard(outcome.job_id, outcome.fence)

    def _upload(
        self, outcome: Outcome, name: str, path: Path, content_type: str, on_progress: Callable[[], None]
    ) -> StoredFile:
        if not FILE_NAME.fullmatch(name):
            raise InvalidInput(f"{name[:80]!r} cannot name a file of a result; use a word such as video")
        key = f"{attempt_folder(outcome.job_id, outcome.fence)}{name}{path.suffix}"
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        on_progress()
        self.store.put_file(key, path, content_type, on_progress)
        on_progress()
        self._verify(key, sha256, on_progress)
        return StoredFile(key=key, size=path.stat().st_size, sha256=sha256, content_type=content_type)

    def _verify(self, key: str, sha256: str, on_progress: Callable[[], None]) -> None:
        """Read back and hash here: the checksums that servers offer are not the same everywhere, nor always checked."""
        stored = self.store.get_bytes(key, on_progress)
        if stored is None or hashlib.sha256(stored).hexdigest() != sha256:
            raise StorageFailed(f"{key} in {self.store.url} is not what was uploaded; check the store, then try again")

    def _winner(self, ours: Manifest) -> Manifest:
        winner = self.find(ours.job_id)
        if winner is None:
            raise StorageFailed(f"{manifest_key(ours.job_id)} is gone from {self.store.url}; does a rule delete it?")
        if winner.fence != ours.fence:
            self.discard(ours.job_id, ours.fence)
        return winner
