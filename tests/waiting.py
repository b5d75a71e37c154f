"""Waiting for a predicate instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

RAY_S = 240.0  # for what waits for processes of Ray's to start, on a machine that may be busy with other things


def wait_for(predicate: Callable[[], Answer], timeout_s: float = 60.0, poll_s: float = 0.02) -> Answer:
    """The predicate's first true answer; AssertionError with its last one after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := predicate()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain; last answer: {answer!r}"
        time.sleep(poll_s)
    return answer
