"""Where checkpoints of unfinished jobs lie: one per attempt, and only the newest is kept. Knows not what is in them.

They lie apart from the results, so that all there are can be listed. Keys end in the attempt's fence: a worker that
lost its job without knowing it cannot put an older checkpoint in the place of a newer one.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import JOB_ID, job_folder

ROOM = "checkpoints"
SUFFIX = ".safetensors"


class CheckpointRoom:
    """The checkpoints of one model's jobs in a store; every method may raise StorageFailed."""

    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._folder = f"{ROOM}/{model}/"

    def put(self, job_id: str, fence: int, blob: bytes) -> None:
        """Keep the checkpoint of that attempt, and none of the attempts before it."""
        key = self._key(job_id, fence)
        self._store.put_bytes(key, blob, "application/octet-stream")
        for older in self._keys(job_id):
            if older < key:
                self._store.delete_prefix(older)

    def newest_first(self, job_id: str) -> Iterator[bytes]:
        """All there are of the job; usually one, or none."""
        for key in sorted(self._keys(job_id), reverse=True):
            if (blob := self._store.get_bytes(key)) is not None:
                yield blob

    def delete(self, job_id: str) -> int:
        """Delete the job's checkpoints; how many there were."""
        return self._store.delete_prefix(self._job(job_id))

    def job_ids(self) -> set[str]:
        """The jobs that have one. What else lies there, such as the marks by which some tools show folders in a bucket,
        is no job's."""
        names = {key.removeprefix(self._folder).split("/")[0] for key in self._store.list(self._folder)}
        return {name for name in names if JOB_ID.fullmatch(name)}

    def all_before(self, job_id: str, fence: int) -> bool:
        """Whether all there are of the job come from attempts before that of `fence`."""
        return all(key < self._key(job_id, fence) for key in self._keys(job_id))

    def _keys(self, job_id: str) -> list[str]:
        return [key for key in self._store.list(self._job(job_id)) if key.endswith(SUFFIX)]

    def _key(self, job_id: str, fence: int) -> str:
        return f"{self._job(job_id)}{fence:020d}{SUFFIX}"  # of one length: keys sort as fences do

    def _job(self, job_id: str) -> str:
        return job_folder(job_id).replace("jobs/", self._folder, 1)
