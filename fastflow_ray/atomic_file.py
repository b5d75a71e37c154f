"""A file that appears whole or not at all: a reader, or a full disk, never leaves half a video under the name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fastflow_ray.errors import FastFlowError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a sibling to write to, which takes the name `path` when the block ends well and is removed otherwise.

    A device or a pipe is yielded as it is. Raises FastFlowError when the system refuses (missing folder, full disk).
    """
    is_special = path.exists() and not path.is_file() and not path.is_dir()
    sibling = path if is_special else path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield sibling
        if not is_special:
            sibling.replace(path)
    except OSError as refused:
        raise FastFlowError(f"cannot write {path}: {refused.strerror or refused}") from refused
    finally:
        if not is_special:
            with suppress(OSError):  # a read-only file system refuses this too, and would hide what went wrong
                sibling.unlink(missing_ok=True)
