"""Where a command is to write: looked at before the work begins that would be lost there."""

from __future__ import annotations

from pathlib import Path

from fastflow_ray.errors import InvalidInput


def check_destination(place: Path, suffix: str = "") -> None:
    """Raise InvalidInput unless it is a file's name in a folder that exists and ends in `suffix`, such as ".mp4".

    A device or a pipe may have any name.
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
