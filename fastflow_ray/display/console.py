"""What commands print on: as wide as its terminal; elsewhere as wide as any line, for programs read whole ones."""

from __future__ import annotations

import re
import sys
from typing import Any, TextIO, cast

from rich.console import Console

ANY_LINE = 100_000  # columns
BLANKS = re.compile("[ \\t]+(?=\\n|$)")


class _Lines:
    """A file that gets lines without the blanks that fill a table's rows to the length of the longest."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(BLANKS.sub("", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error, as it is at this moment; a quiet one shows nothing."""
    file = sys.stderr if stderr else sys.stdout
    if (screen := Console(file=file, quiet=quiet)).is_terminal:
        return screen
    return Console(file=cast(TextIO, _Lines(file)), quiet=quiet, width=ANY_LINE)
