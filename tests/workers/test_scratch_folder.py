"""Folders of processes: removed with them, kept for people, and swept after those that were killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workers.scratch_folder import ScratchFolder

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
