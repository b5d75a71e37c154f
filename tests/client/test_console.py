"""Where commands print: lines as people read them on a terminal, whole ones elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from rich.table import Table

from fastflow_ray import __version__
from fastflow_ray.display.console import console

LINE = "!  the statistics cannot be kept: " + "; ".join(["Redis at 127.0.0.1:6379 cannot be reached"] * 5)
WARN = f"""
import logging, sys
from rich.console import Console
from fastflow_ray.cli.output import log_to
from fastflow_ray.display.console import console
log_to({{screen}})
logging.getLogger("ours").warning("{LINE}")
"""


def warned(screen: str) -> list[str]:
    """The lines of a warning on that screen, in a process whose logging nobody has set up."""
    ran = subprocess.run([sys.executable, "-c", WARN.format(screen=screen)], stdout=subprocess.PIPE, text=True)
    return ran.stdout.splitlines()


@pytest.mark.parametrize("stderr", [False, True])
def test_without_a_terminal_a_line_is_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stderr: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console(stderr=stderr).print(LINE)
    console(stderr=stderr, quiet=True).print(LINE)
    written = capsys.readouterr()
    assert (written.err if stderr else written.out) == f"{LINE}\n"


def test_without_a_terminal_no_row_is_filled_up_with_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("prompt", "state", box=None)
    table.add_row("a circle", "queued")
    table.add_row(300 * "x", "  indented")
    console().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines[0].split() == ["prompt", "state"]
    assert lines[1].endswith(" queued")
    assert "x    indented" in lines[2], "what stands between is left"


def test_a_warning_is_a_whole_line_too_and_fits_a_terminal() -> None:
    assert warned("console()") == [LINE]
    fitted = warned("Console(file=sys.stdout, force_terminal=True, color_system=None, width=40)")
    assert len(fitted) > 1
    assert max(map(len, fitted)) == 40


def printed_into(file: IO[bytes], words: list[str], unbuffered: str) -> subprocess.CompletedProcess[str]:
    """A command whose standard output is that file."""
    program = [sys.executable, "-c", "from fastflow_ray.cli import main; main()", *words]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(program, stdout=file, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("words", [["version"], ["queue", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_below_standard_output_is_one_line(words: list[str], unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = printed_into(full, words, unbuffered)
    told = "error: cannot print: No space left on device; make room where it goes, or print elsewhere\n"
    assert (ran.returncode, ran.stderr) == (1, told)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_left_is_told_nothing(unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ran = printed_into(pipe, ["version"], unbuffered)
    assert (ran.returncode, ran.stderr) == (1, "")


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [(">&-", "version", 0), ("2>&-", "no-such-command", 2), ("<&- >&- 2>&-", "version", 0), ("2>&-", "version", 0)],
)
def test_a_closed_stream_changes_neither_the_exit_code_nor_what_the_others_say(
    closed: str, words: str, code: int
) -> None:
    line = f'exec "$0" -c "from fastflow_ray.cli import main; main()" {words} {closed}'
    ran = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True)
    said = "" if ">&-" in closed.split() or code else f"{__version__}\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, said, "")
