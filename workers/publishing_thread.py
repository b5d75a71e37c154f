"""The publishing thread: it encodes and uploads one video while the GPU makes the next. Knows no job.

There is room for one. Whoever comes while it is taken waits in front of it with the lease in hand, and claims no more:
so a worker never holds more than two.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

LOOK_S = 0.2  # between two signs of life of whoever waits in front


class PublishingExecutor(Protocol):
    """Where a video is published: takes one at a time."""

    def enter(self, work: Callable[[], object], waiting: Callable[[], None]) -> None:
        """Do `work`, then or later; until it begins `waiting` is called now and then, and may raise instead."""

    def clear(self, waiting: Callable[[], None]) -> None:
        """Return when it is empty; until then `waiting` is called now and then, and may raise instead."""

    def close(self) -> None:
        """Return when all work is done, and take no more."""


class PublishingThread:
    """A `PublishingExecutor` of its own thread. For one caller at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "publishing")
        self._latest = _nothing()

    def enter(self, work: Callable[[], object], waiting: Callable[[], None]) -> None:
        """Return when the thread has begun `work`; raises what `waiting` raises, and what the work before raised."""
        self.clear(waiting)
        self._latest = self._thread.submit(work)

    def clear(self, waiting: Callable[[], None]) -> None:
        """Return when nothing is in it; raises what `waiting` raises, and what the work raised."""
        while not wait([self._latest], LOOK_S).done:
            waiting()
        latest, self._latest = self._latest, _nothing()  # what it raised, it raises once
        latest.result()

    def close(self) -> None:
        """Publishing is sooner done than done again."""
        self._thread.shutdown()
        self._latest.result()


def _nothing() -> Future[object]:
    done: Future[object] = Future()
    done.set_result(None)
    return done


class SameThread:
    """A `PublishingExecutor` without a thread: the GPU waits. What the real one is measured against."""

    def enter(self, work: Callable[[], object], waiting: Callable[[], None]) -> None:
        """Do it here and now."""
        work()

    def clear(self, waiting: Callable[[], None]) -> None:
        """It always is."""

    def close(self) -> None:
        """It is done already."""
