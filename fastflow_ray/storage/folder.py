"""A store in a folder: every value is one file, written aside and moved into place. Knows no network."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.keys import checked_doomed_prefix, checked_key, checked_prefix
from fastflow_ray.storage.parts import parts_of

NOT_ALLOWED = "give this user the right to write there, or choose another folder"
REMEDIES = {
    errno.ENOSPC: "free space on the disk, or choose another folder",
    errno.EDQUOT: "free space within the quota, or choose another folder",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: NOT_ALLOWED,
    errno.EPERM: f"{NOT_ALLOWED} on a file system with hard links",
    errno.EROFS: NOT_ALLOWED,
    errno.ENOTSUP: "choose a folder on a file system with hard links",
}


class FolderStore:
    """Values as files below `root`, for one machine or a shared mount; unlike in S3, no key can be a folder of another.

    Readers see a value whole or not at all, also after a crash: files are written under a hidden name in the same
    folder, flushed to the disk and then renamed, or hard-linked where the key has to be new.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = self.root.as_uri()
        self.conditional = True  # a hard link is made once

    def check(self) -> None:
        """Write, read back and delete a file; raises StorageFailed naming the folder and the remedy."""
        key, value = f"check/{uuid.uuid4().hex}", b"fastflow-ray was here"
        try:
            written = self.put_if_absent(key, value, "text/plain")
            rewritten = self.put_if_absent(key, b"", "text/plain")
            if not written or rewritten or self.get_bytes(key) != value:
                raise StorageFailed(f"{self.root} does not hold what is written to it; choose another folder")
        finally:
            self.delete_prefix(key)

    def put_file(self, key: str, path: Path, content_type: str, on_progress: Callable[[], None] = lambda: None) -> None:
        """Copy the file at `path`; the content type is for stores that keep one."""
        with _explained(f"read {path}"), path.open("rb") as source:
            self._write(key, source, _replace, on_progress)

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        """Write the bytes."""
        self._write(key, io.BytesIO(data), _replace)

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        """Write unless the key exists; of several at once exactly one gets True."""
        return self._write(key, io.BytesIO(data), _link)

    def get_bytes(self, key: str, on_progress: Callable[[], None] = lambda: None) -> bytes | None:
        """The value, or None."""
        path = self._path(key)
        with _explained(f"read {path}"):
            if not path.is_file():
                return None
            with path.open("rb") as source:
                return b"".join(parts_of(source, on_progress))

    def size(self, key: str) -> int | None:
        """Bytes stored, or None."""
        path = self._path(key)
        with _explained(f"read {path}"):
            return path.stat().st_size if path.is_file() else None

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with the prefix, sorted."""
        files = self._files(checked_prefix(prefix))
        return iter(sorted(self._key(path) for path in files if not _is_unfinished(path)))

    def delete_prefix(self, prefix: str, spared: Callable[[str], bool] = lambda key: False) -> int:
        """Delete the keys, what dead writers left unfinished beside them, and the folders that get empty."""
        doomed = [path for path in self._files(checked_doomed_prefix(prefix)) if not spared(self._key(path))]
        for path in doomed:
            with _explained(f"delete {path}"):
                path.unlink(missing_ok=True)
            self._remove_empty_folders(path.parent)
        return sum(not _is_unfinished(path) for path in doomed)

    def link(self, key: str, expires_s: int = 3600) -> str:
        """A file:// URL, which never expires."""
        return self._path(key).as_uri()

    def close(self) -> None:
        """There is nothing to let go."""

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _write(
        self,
        key: str,
        source: BinaryIO,
        settle: Callable[[Path, Path], bool],
        on_progress: Callable[[], None] = lambda: None,
    ) -> bool:
        path = self._path(key)
        with _explained(f"write {path}"):
            unfinished, sink = _open_beside(path)
            try:
                with sink:
                    sink.writelines(parts_of(source, on_progress))
                    sink.flush()
                    os.fsync(sink.fileno())
                settled = settle(unfinished, path)
                _flush_folder(path.parent)
                return settled
            finally:
                unfinished.unlink(missing_ok=True)

    def _files(self, prefix: str) -> tuple[Path, ...]:
        folder = self.root / prefix.rpartition("/")[0]
        with _explained(f"list {folder}"):
            walk = os.walk(folder, onerror=_raise_unless_gone)
            paths = [Path(parent, name) for parent, _, names in walk for name in names]
        return tuple(path for path in paths if self._key(path).startswith(prefix))

    def _remove_empty_folders(self, folder: Path) -> None:
        with contextlib.suppress(OSError):  # not empty, or gone already
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def _open_beside(path: Path, tries: int = 8) -> tuple[Path, BinaryIO]:
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return unfinished, unfinished.open("xb")
    except (FileNotFoundError, FileExistsError):
        # Whoever deletes the last other file takes the folder away too, perhaps between any two of these steps.
        if tries == 1:
            raise
        return _open_beside(path, tries - 1)


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(".")


def _replace(unfinished: Path, path: Path) -> bool:
    unfinished.replace(path)
    return True


def _link(unfinished: Path, path: Path) -> bool:
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        return False
    return True


def _flush_folder(folder: Path) -> None:
    """Make a new name survive a power cut; the file's own flush covers only its bytes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    """Turn the system's errors into StorageFailed with a remedy."""
    try:
        yield
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0, "check the disk and how it is mounted")
        raise StorageFailed(f"cannot {doing}: {error.strerror}; {remedy}") from error
