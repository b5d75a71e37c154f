"""A folder that goes when its process does: what a killed process left, the next one removes. Knows no job and no Ray.

Containers may share the parent: a lock means the same to all of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from fastflow_ray.errors import StorageFailed

PREFIX = "fastflow-"
OWNER = "owner"  # a file; whoever made the folder holds its lock, which the kernel lets go when that process ends


class ScratchFolder:
    """Made at `path`, in `parent`, once the folders there that nobody owns any more are gone.

    A context manager that yields the path, and removes it.
    """

    def __init__(self, parent: Path) -> None:
        sweep_scratch(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            self._lock = self._own()
        except OSError:  # there is no room: without an owner nobody would remove it
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """With all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def keep(self) -> None:
        """For people to read; no later process removes it."""
        (self.path / OWNER).unlink(missing_ok=True)
        self._lock.close()

    def _own(self) -> TextIO:
        unowned = self.path / f"{OWNER}.new"
        with ExitStack() as undo:
            lock = undo.enter_context(unowned.open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            unowned.rename(self.path / OWNER)  # only now: another process must not find it without its lock
            undo.pop_all()
        return lock


@contextmanager
def room_for_files() -> Iterator[Path]:
    """A scratch folder in this machine's temporary folder, for files that are on their way to a store.

    Raises StorageFailed where the system refuses to make it, or what the block writes to it.
    """
    parent = Path(tempfile.gettempdir())
    try:
        with ScratchFolder(parent) as folder:
            yield folder
    except OSError as refusal:
        raise StorageFailed(f"cannot write to {parent}: {refusal.strerror or refusal}; free space there") from refusal


def sweep_scratch(parent: Path) -> None:
    """Remove our user's folders whose owner has ended. A lock tells better than a process's number, which another may
    have by now, and which means nothing in another container that shares the parent."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it has no owner's file, it is in use, or it has just gone
            if folder.lstat().st_uid == os.getuid():
                with (folder / OWNER).open() as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder)
