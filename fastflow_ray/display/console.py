"""What commands print on: as wide as its terminal; elsewhere as wide as any line, for programs read whole ones."""

from __future__ import annotations

import sys

from rich.console import Console

ANY_LINE = 100_000  # columns


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Standard output, or standard error, as it is at this moment; a quiet one shows nothing."""
    screen = Console(file=sys.stderr if stderr else sys.stdout, quiet=quiet)
    if not screen.is_terminal:
        screen.width = ANY_LINE
    return screen
