"""What a key may look like. No key that passes can leave the root of a store, whatever the store is made of."""

from __future__ import annotations

from fastflow_ray.errors import InvalidInput

LONGEST_KEY_BYTES = 1024  # S3's limit
LONGEST_PART_BYTES = 200  # file systems allow 255; the folder store needs some for the name of an unfinished file


def checked_key(key: str) -> str:
    """The key itself if it is relative, printable and has no part that is empty or starts with a dot.

    Raises InvalidInput. Names with a leading dot are refused for `.` and `..`, and because unfinished files use them.
    """
    parts = key.split("/")
    lengths_ok = len(key.encode()) <= LONGEST_KEY_BYTES and all(len(p.encode()) <= LONGEST_PART_BYTES for p in parts)
    spelling_ok = key.isprintable() and "\\" not in key and all(p and not p.startswith(".") for p in parts)
    if not (lengths_ok and spelling_ok):
        raise InvalidInput(f"{key[:80]!r} is not a key; use a relative path such as jobs/42/video.mp4")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix itself if some key may start with it; the empty one starts them all. Raises InvalidInput."""
    if prefix:
        checked_key(prefix.removesuffix("/"))
    return prefix


def checked_doomed_prefix(prefix: str) -> str:
    """A prefix whose keys may be deleted: any but the empty one. Raises InvalidInput."""
    if not prefix:
        raise InvalidInput("deleting the empty prefix would empty the whole store; name a prefix such as jobs/42/")
    return checked_prefix(prefix)
