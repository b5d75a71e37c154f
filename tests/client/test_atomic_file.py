"""A file appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fastflow_ray.atomic_file import replacing
from fastflow_ray.errors import FastFlowError


def test_the_name_is_taken_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replacing(path) as sibling:
        sibling.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail_half_way() -> None:
        with replacing(path) as sibling:
            sibling.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("name", "reason"), [("no/a.txt", "No such file"), (".", "Is a directory|resource busy")])
def test_the_system_refuses(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(FastFlowError, match=f"cannot write .*: ({reason})"), replacing(tmp_path / name) as sibling:
        sibling.write_text("x")


def test_what_cannot_be_removed_does_not_hide_what_went_wrong(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with replacing(tmp_path / "a.txt") as sibling:
            sibling.mkdir()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FastFlowError, match=r"cannot write .*/a\.txt: No space left"):
        fill_the_disk()


def test_a_device_is_written_to_and_stays_a_device() -> None:
    full = Path("/dev/full")
    with pytest.raises(FastFlowError, match="cannot write /dev/full: No space left on device"), replacing(full) as same:
        same.write_text("x")
    assert full.is_char_device()
