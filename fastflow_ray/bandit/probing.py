"""Which budget an audit should try next, on the way to the boldest that keeps a fidelity. Knows counts only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

HALF = 4  # the boldness to begin with: half of the steps
FEW = 3  # audits that all kept the fidelity: enough to try a bolder budget, not enough to promise one
TELLING = 6  # audits whose mean and spread say where the rare ones will be, long before these are seen


class Tried(NamedTuple):
    """What audits at one boldness said about a fidelity."""

    audits: int = 0
    failures: int = 0  # that fell below it
    headroom: float = math.inf  # of their mean above it, in their standard deviations

    def is_too_bold(self, confidence: float) -> bool:
        """It failed twice, and more often than `confidence` allows; or by its spread it is going to."""
        seen = self.failures > 1 and self.failures > (1 - confidence) * self.audits
        return seen or not self._has_room(confidence)

    def holds_so_far(self, confidence: float) -> bool:
        """A few audits kept the fidelity as often as `confidence` asks."""
        enough = self.audits >= FEW and self.failures <= (1 - confidence) * self.audits
        return enough and self._has_room(confidence)

    def _has_room(self, confidence: float) -> bool:
        return self.audits < TELLING or self.headroom >= NormalDist().inv_cdf(confidence)


def next_rung(rungs: Sequence[int], tried: Mapping[int, Tried], confidence: float) -> int:
    """The boldness to try, of `rungs`, rising: bolder and bolder while none has failed, then bisection.

    Beyond what is too bold all is. Once nothing lies between that and the boldest that held so far, the latter is
    tried until it has been shown to hold.
    """
    failed = [b for b, there in tried.items() if there.is_too_bold(confidence)]
    kept = [b for b, there in tried.items() if there.holds_so_far(confidence)]
    hopeful = [b for b in rungs if b < min(failed, default=math.inf)]
    good = max((b for b in hopeful if b in kept), default=None)
    ahead = [b for b in hopeful if good is None or b > good]
    if not ahead:
        return rungs[0] if good is None else good
    if failed:
        return ahead[len(ahead) // 2]
    return min(ahead, key=lambda b: abs(b - HALF)) if good is None else ahead[:2][-1]
