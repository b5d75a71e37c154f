"""The conditions a comparison is made under: guidance, shift and steps of the full run. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

GUIDANCES, SHIFTS, STEPS = (1.0, 3.0, 5.0), (3.0, 5.0, 8.0), (30, 50)


@dataclass(frozen=True)
class Regime:
    """One grid and one guidance. Figures of two regimes are never pooled."""

    guidance: float
    shift: float
    steps: int  # N of the full run, whose evaluations are what work is counted in

    @property
    def branches(self) -> int:
        """Network evaluations per evaluated step."""
        return 2 if self.guidance > 1 else 1

    def evaluations(self, speedup: float) -> int:
        """How many of the N steps a budget leaves; 2 at least."""
        return max(2, round(self.steps / speedup))

    def __str__(self) -> str:
        return f"guidance {self.guidance:g}, shift {self.shift:g}, {self.steps} steps"


def regimes(guidances: Iterable[float], shifts: Iterable[float], steps: Iterable[int]) -> list[Regime]:
    """Every combination, in order."""
    return [Regime(*numbers) for numbers in itertools.product(guidances, shifts, steps)]
