"""How far a skip may go."""

from __future__ import annotations

from collections.abc import Collection


def longest_skip(step: int, steps: int, restarts: Collection[int] = ()) -> int:
    """The longest skip after evaluating `step` that an evaluation by the same network can still end; -1: none.

    A skip of m steps is ended by the evaluation at step + m + 1, which has to exist: so the last of the `steps` is
    always evaluated, and so is the last one before each restart, where another network takes over.
    """
    end = min([steps, *(restart for restart in restarts if restart > step)])
    return end - step - 2
