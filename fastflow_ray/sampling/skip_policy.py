"""Who decides how far to skip, as the samplers see it."""

from __future__ import annotations

from typing import Protocol


class SkipPolicy(Protocol):
    """Chooses the skip after each evaluation and is told what the skip cost in accuracy."""

    def choose(self, step: int, longest: int) -> int:
        """How many steps to skip after the evaluation at `step`, at most `longest`."""

    def observe(self, step: int, skipped: int, error: float) -> None:
        """The skip of length `skipped` chosen at `step` has ended: mean squared error of the predicted velocity."""

    def finish(self) -> None:
        """The trajectory has reached sigma = 0."""


class NoSkips:
    """Evaluates everywhere: the Euler reference."""

    def choose(self, step: int, longest: int) -> int:
        """Always 0."""
        return 0

    def observe(self, step: int, skipped: int, error: float) -> None:
        """Nothing to learn."""

    def finish(self) -> None:
        """Nothing to conclude."""
