"""What can go wrong with a disk. Every fault is a real one of the operating system."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import wait_for

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.folder import FolderStore

FILE_LIMIT = """
import resource, sys
from pathlib import Path
from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
store.put_bytes("jobs/1/video.mp4", b"before", "video/mp4")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for write in (store.put_bytes, store.put_if_absent):
    key = "jobs/1/video.mp4" if write == store.put_bytes else "jobs/1/new.mp4"
    try:
        write(key, bytes(1_000_000), "video/mp4")
    except StorageFailed as failure:
        print(failure)
"""

NO_RIGHTS = """
import os, sys
from pathlib import Path
from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage.folder import FolderStore
if os.geteuid() == 0:  # root may write anywhere; be nobody
    os.setuid(65534)
try:
    FolderStore(Path(sys.argv[1])).check()
except StorageFailed as failure:
    print(failure)
"""

SLOW_WRITER = """
import sys
from pathlib import Path
from fastflow_ray.storage.folder import FolderStore
FolderStore(Path(sys.argv[1])).put_file("jobs/1/video.mp4", Path(sys.argv[2]), "video/mp4")
"""


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_a_write_that_breaks_off_leaves_no_torn_file(tmp_path: Path) -> None:
    said = subprocess.run(python(FILE_LIMIT, tmp_path), capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.count("File too large; raise the limit on file sizes") == 2
    store = FolderStore(tmp_path)
    assert store.get_bytes("jobs/1/video.mp4") == b"before"
    assert [path.name for path in (tmp_path / "jobs/1").iterdir()] == ["video.mp4"]


def test_a_folder_without_rights_is_named_with_the_remedy(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    said = subprocess.run(python(NO_RIGHTS, locked), capture_output=True, text=True, check=True, timeout=60).stdout
    assert str(locked) in said
    assert "Permission denied; give this user the right to write there" in said


def test_a_full_disk_is_told_at_the_flush_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # where a file system that allocates late, or NFS, tells it
    with pytest.raises(StorageFailed, match="No space left on device; free space on the disk"):
        FolderStore(tmp_path).put_bytes("jobs/1/video.mp4", b"x", "video/mp4")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_killed_writer_leaves_nothing_to_be_read(tmp_path: Path) -> None:
    root, pipe = tmp_path / "store", tmp_path / "pipe"
    os.mkfifo(pipe)
    store = FolderStore(root)
    with subprocess.Popen(python(SLOW_WRITER, root, pipe)) as writer, pipe.open("wb", buffering=0) as source:
        source.write(b"half a video")
        wait_for(lambda: any(path.is_file() for path in root.rglob("*")))
        writer.send_signal(signal.SIGKILL)
    assert [path.suffix for path in root.rglob("*") if path.is_file()] == [".part"]
    assert list(store.list("")) == []
    assert store.get_bytes("jobs/1/video.mp4") is None
    assert store.delete_prefix("jobs/1/") == 0
    assert list(root.iterdir()) == []


def test_a_value_cannot_be_a_folder_too(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put_bytes("a/b", b"x", "text/plain")
    for write in (store.put_bytes, store.put_if_absent):
        with pytest.raises(StorageFailed, match=r"cannot write .*/a/b/c"):
            write("a/b/c", b"x", "text/plain")
    with pytest.raises(StorageFailed, match="cannot write"):
        store.put_bytes("a", b"x", "text/plain")
    assert list(store.list("")) == ["a/b"]


def test_a_disk_that_forgets_does_not_pass_the_check(tmp_path: Path) -> None:
    class ForgetfulDisk(FolderStore):
        """A disk that answers every read with zeros."""

        def get_bytes(self, key: str, *on_progress: Callable[[], None]) -> bytes | None:
            value = super().get_bytes(key, *on_progress)
            return value and bytes(len(value))

    with pytest.raises(StorageFailed, match="does not hold what is written"):
        ForgetfulDisk(tmp_path).check()
    assert list(tmp_path.iterdir()) == []
