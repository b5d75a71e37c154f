"""Where a job's manifest stands: under the first of its names whose text is whole. Knows no file of a result.

A text whose seal is broken, cut off or with a bit flipped, is nobody's result; who comes next puts his own under the
next name. A name is written once, and a damaged one is written over with the first whole text alone: so all who look,
at any moment, find the same manifest. A whole text that is no manifest of this job is neither believed nor passed over,
for it may be the result that a later version of this program published.
"""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from fastflow_ray.counted import counted
from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import SCHEMA_VERSION, Manifest, job_folder
from fastflow_ray.storage.seal import unsealed

log = logging.getLogger(__name__)

NAMES = ("result.json", "result-2.json", "result-3.json", "result-4.json")
TRIES = 3  # to read a damaged text the same way twice, and to mend one so that it arrives
JSON = "application/json"


class ManifestShelf:
    """The manifests of one store; every method may raise StorageFailed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, job_id: str) -> Manifest | None:
        """The job's manifest; None if there is none that is whole, and room for one."""
        damaged: list[str] = []
        for key in _keys(job_id):
            text = self._read(key)
            if text is None:
                return None
            if (fields := _fields(text)) is not None:
                manifest = self._manifest(job_id, key, fields)
                for other in damaged:
                    self._try_to_mend(other, text)
                return manifest
            log.warning("! %s in %s is damaged and passed over", key, self._store.url)
            damaged.append(key)
        raise self._distrust(damaged[0], "it is damaged, and so is whatever was put beside it", "check the store")

    def put(self, manifest: Manifest) -> None:
        """Unless there is one; `find` tells whose it is that stands there then."""
        text = manifest.to_json()
        for key in _keys(manifest.job_id):
            self._store.put_if_absent(key, text, JSON)
            if _fields(self._read(key) or b"") is not None:
                return

    def _read(self, key: str) -> bytes | None:
        """A damaged text is read again: only if it is the same twice, it stands there like that."""
        text = self._store.get_bytes(key)
        for _ in range(TRIES):
            if text is None or _fields(text) is not None:
                return text
            before, text = text, self._store.get_bytes(key)
            if text == before:
                return text
        raise StorageFailed(f"{key} in {self._store.url} reads differently each time; check the network")

    def _try_to_mend(self, key: str, text: bytes) -> None:
        """For whoever looks under the first name alone, and should the text that was found be damaged too one day. A
        store that lets nothing be overwritten keeps the damage, and the job its result."""
        try:
            self._mend(key, text)
        except StorageFailed as error:
            log.warning("! %s", error)

    def _mend(self, key: str, text: bytes) -> None:
        for _ in range(TRIES):
            self._store.put_bytes(key, text, JSON)
            if self._store.get_bytes(key) == text:
                log.info("<- %s in %s is whole again", key, self._store.url)
                return
        raise StorageFailed(f"{key} in {self._store.url} is not what was uploaded; check the store, then try again")

    def _manifest(self, job_id: str, key: str, fields: dict[str, Any]) -> Manifest:
        if (version := fields.get("schema_version")) != SCHEMA_VERSION:
            raise self._distrust(key, f"its version is {version!r}, and this program reads {SCHEMA_VERSION}", "upgrade")
        try:
            manifest = Manifest.model_validate(fields)
        except ValidationError as error:
            errors = counted(error.error_count(), "error")
            raise self._distrust(key, f"it is not a manifest ({errors})", "upgrade") from error
        if manifest.job_id != job_id:
            raise self._distrust(key, f"it tells of job {manifest.job_id}", "move it to its place")
        return manifest

    def _distrust(self, key: str, what: str, remedy: str) -> StorageFailed:
        return StorageFailed(
            f"{key} in {self._store.url} cannot be trusted: {what}; {remedy}, or delete it to let the job run again"
        )


def manifest_key(job_id: str) -> str:
    """The first of its names; raises InvalidInput for what is no job id."""
    return next(iter(_keys(job_id)))


def _keys(job_id: str) -> list[str]:
    return [job_folder(job_id) + name for name in NAMES]


def _fields(text: bytes) -> dict[str, Any] | None:
    """What a whole text says; None: it is damaged. Before there were seals, a manifest was whole that could be read."""
    if (fields := unsealed(text)) is not None:
        return fields
    try:
        return Manifest.model_validate_json(text).model_dump(mode="json")
    except ValidationError:
        return None
