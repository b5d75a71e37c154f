"""Waiting for a predicate instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def wait_for(predicate: Callable[[], Answer], timeout_s: float = 240.0, poll_s: float = 0.05) -> Answer:
    """The predicate's first true answer; AssertionError with its last one after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := predicate()):
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain; last answer: {answer!r}"
        time.sleep(poll_s)
    return answer
