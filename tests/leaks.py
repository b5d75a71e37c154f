"""What a test opens it closes; a test asks for the fixture `closed_after` and wraps what would stay open."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

Opened = TypeVar("Opened")


class ClosedAfter(Protocol):
    """`closed_after(open_queue(…))` is that queue, which is closed when the test is over."""

    def __call__(self, opened: Opened, /) -> Opened: ...


def without_finalisers(*kinds: type[Any]) -> None:
    """Let objects of these kinds keep what they hold when they are forgotten, so that it shows as unclosed.

    The finalisers of redis-py close what its users forgot, but only as long as the garbage collector meets them before
    the sockets: a leak then fails one run in very many, and without them every run.
    """
    for kind in kinds:
        del kind.__del__
