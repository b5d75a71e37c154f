"""The command line: `fastflow-ray COMMAND`. One file per group of commands; none knows Redis, a store or a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130  # as shells have it: 128, and 2 for SIGINT


def main(words: Sequence[str] | None = None) -> None:
    """Run one command line (by default the process's own) and exit with its code; Ctrl-C ends it with no traceback."""
    try:
        _open_streams()
        from fastflow_ray.cli.app import run  # only here: importing takes long enough to be interrupted

        run(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _open_streams() -> None:
    """Give a process that was begun without standard streams (`>&-`, some services) empty ones.

    Python has None for them, which nobody can print to, and the next file that is opened would get their numbers.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


__all__ = ["main"]
