"""A server whose clock a test sets: libfaketime stands between it and the time of day, not its monotonic clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastflow_ray.queue.embedded import EmbeddedValkey

FOUND = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))  # where Debian's `faketime` keeps it


class FakeClock:
    """Writes what libfaketime reads: the offset from the real time, and how fast time goes from there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set("+0")

    def set(self, offset: str) -> None:
        """`+3600` is an hour ahead, `-3600` behind; `+0 x1.1` goes a tenth too fast."""
        written = self.file.with_suffix(".new")
        written.write_text(offset + "\n")
        written.replace(self.file)


@contextmanager
def server_with_a_clock(folder: Path) -> Iterator[tuple[EmbeddedValkey, FakeClock]]:
    """The server and its clock."""
    folder.mkdir()
    clock = FakeClock(folder / "clock")
    server = EmbeddedValkey(folder / "valkey", fsync="always")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LD_PRELOAD", str(FOUND[0]))
        environment.setenv("FAKETIME_TIMESTAMP_FILE", str(clock.file))
        environment.setenv("FAKETIME_NO_CACHE", "1")
        environment.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server.start()
    try:
        yield server, clock
    finally:
        server.stop()
