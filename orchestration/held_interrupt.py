"""Ctrl-C while others' code runs that might swallow it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STDERR = 2
HEARD = b"\nCtrl-C was heard; Ray has to finish starting first. Ctrl-C again does not wait for it.\n"


@contextmanager
def held_interrupt() -> Iterator[None]:
    """A Ctrl-C inside takes effect at its end, a second one at once.

    KeyboardInterrupt raised within a callback of compiled code, as Ray has many while it starts, is printed and
    forgotten; the fleet would then go on as if nobody had asked it to end. Outside the main thread, which alone hears
    of signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True
        os.write(STDERR, HEARD)  # print is not for signal handlers

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:  # even if what ran has failed: whoever catches its error might try again
            raise KeyboardInterrupt
