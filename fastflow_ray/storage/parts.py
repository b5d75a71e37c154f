"""Reading piece by piece, so that a long way of bytes gives signs of life. Knows no store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

PART_BYTES = 2**20


class Readable(Protocol):
    """An open file, or what a server sends."""

    def read(self, size: int, /) -> bytes: ...


def parts_of(source: Readable, on_progress: Callable[[], None]) -> Iterator[bytes]:
    """All that is left of it; `on_progress` hears of every part that was taken, and may raise to end it."""
    for part in iter(partial(source.read, PART_BYTES), b""):
        yield part
        on_progress()
