"""The command line: `fastflow-ray COMMAND`. One file per group of commands; none knows Redis, a store or a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130  # as shells have it: 128, and 2 for SIGINT


def main(words: Sequence[str] | None = None) -> None:
    """Run one command line (by default the process's own) and exit with its code; Ctrl-C ends it with no traceback."""
    try:
        from fastflow_ray.cli.app import run  # only here: importing takes long enough to be interrupted

        run(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


__all__ = ["main"]
