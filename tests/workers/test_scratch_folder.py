"""Folders of processes: removed with them, kept for people, and swept after those that were killed."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fastflow_ray.errors import StorageFailed
from workers.scratch_folder import ScratchFolder, room_for_files

HOLD = """
import sys
from pathlib import Path
from workers.scratch_folder import ScratchFolder
scratch = ScratchFolder(Path(sys.argv[1]))
(scratch.path / "log").write_text("x")
print(scratch.path, flush=True)
sys.stdin.read()
"""


def test_the_next_process_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        mine = ScratchFolder(tmp_path)
        assert (theirs / "log").exists(), "it is in use"
        other.kill()
    again = ScratchFolder(tmp_path)
    assert not theirs.exists()
    assert mine.path.exists()
    mine.remove()
    again.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_or_was_never_owned_stays(tmp_path: Path) -> None:
    kept = ScratchFolder(tmp_path)
    kept.keep()
    (tmp_path / "fastflow-demo-1").mkdir()
    ScratchFolder(tmp_path).remove()
    assert {folder.name for folder in tmp_path.iterdir()} == {kept.path.name, "fastflow-demo-1"}


def test_a_folder_that_finds_no_room_for_its_owner_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        ScratchFolder(tmp_path)
    assert list(tmp_path.iterdir()) == []


# For files on their way to a store


def test_what_the_system_refuses_there_is_told_as_the_stores_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StorageFailed) as met, room_for_files() as folder:
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(met.value) == f"cannot write to {tmp_path}: No space left on device; free space there"
    assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageFailed, match="gone: No such file or directory"), room_for_files():
        pass


def test_whatever_else_ends_the_block_goes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    refusal = StorageFailed("the store is full; free space there")
    with pytest.raises(StorageFailed) as met, room_for_files():
        raise refusal
    assert met.value is refusal
    assert list(tmp_path.iterdir()) == []
