"""The proof that a store keeps what workers give it: a file written as a result's are, seen there, and taken away.

A store that is nearly full takes a few bytes and no video, and one behind a proxy may take a large file in parts and
not in one piece. So the proof is as large as a result, and is sent as one. Knows no job.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage import Store
from fastflow_ray.storage.parts import PART_BYTES
from workers.scratch_folder import room_for_files

MARGIN_BYTES = 2**16  # beyond the files of a result: its manifest, folders, blocks that are not filled


def prove(store: Store, result_bytes: int, worker: str, on_progress: Callable[[], None]) -> None:
    """Raise StorageFailed unless the store keeps a result of that size.

    `on_progress` hears of every MiB, or less, that went, perhaps from other threads. What a worker that was killed
    meanwhile leaves there, the next proof in its name writes over.
    """
    store.check()
    folder = f"check/room/of-{quote(worker, safe='')}/"
    key, size = f"{folder}result", result_bytes + MARGIN_BYTES
    try:
        _send(store, key, size, on_progress)
        if store.size(key) != size:
            raise StorageFailed(f"{store.url} does not hold what is written to it")
    finally:
        with suppress(StorageFailed):  # the first failure tells more
            store.delete_prefix(folder)


def _send(store: Store, key: str, size: int, on_progress: Callable[[], None]) -> None:
    with room_for_files() as folder:
        path = folder / "result"
        _fill(path, size)
        store.put_file(key, path, "application/octet-stream", on_progress)


def _fill(path: Path, size: int) -> None:
    """With what no disk can make smaller."""
    with path.open("wb") as file:
        for at in range(0, size, PART_BYTES):
            file.write(os.urandom(min(PART_BYTES, size - at)))
