"""Where a command is to write: looked at before the work begins that would be lost there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastflow_ray.errors import InvalidInput

PROBE = bytes(4096)


def check_destination(place: Path, suffix: str = "") -> None:
    """Raise InvalidInput unless it is a file's name in a folder that takes files and ends in `suffix`, such as ".mp4".

    A device or a pipe may have any name, and is not tried.
    """
    if place.is_dir():
        example = f", such as {place / 'video'}{suffix}" if suffix else ""
        raise InvalidInput(f"cannot write {place}: it is a folder; name a file in it{example}")
    if not place.parent.is_dir():
        raise InvalidInput(
            f"cannot write {place}: there is no folder {place.parent};"
            " create it, or name a file in a folder that exists"
        )
    is_special = place.exists() and not place.is_file()
    if suffix and place.suffix.lower() != suffix and not is_special:
        raise InvalidInput(
            f"cannot write {place}: it would be {suffix[1:]} under another name; end the name in {suffix},"
            f" such as {place.with_suffix(suffix)}"
        )
    if not is_special:
        _try(place)


def _try(place: Path) -> None:
    """Write a little beside it, under a name as long as that it has until it is whole; nothing is left behind."""
    try:
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", suffix=place.name) as probe:
            probe.write(PROBE)
            probe.flush()
    except OSError as refused:
        raise InvalidInput(
            f"cannot write {place}: {refused.strerror or refused}; make room, or name a file elsewhere"
        ) from None
