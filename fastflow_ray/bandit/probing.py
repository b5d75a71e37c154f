"""Which budget an audit should try next, on the way to the boldest that keeps a fidelity. Knows counts only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

BEGIN = 5  # the boldness to begin with: the steps evaluated fall by 2^(5/4)
TELLING = 6  # audits whose mean and spread say where the rare ones will be, long before these are seen


class Tried(NamedTuple):
    """What audits at one boldness said about a fidelity."""

    audits: int = 0
    failures: int = 0  # that fell below it
    headroom: float = math.inf  # of their mean above it, in their standard deviations
    foretold: bool = False  # to be kept, so far above it they are

    def is_too_bold(self, confidence: float) -> bool:
        """It failed twice, and more often than `confidence` allows; or by its spread it is going to."""
        seen = self.failures > 1 and self.failures > (1 - confidence) * self.audits
        going_to = self.audits >= TELLING and self.headroom < NormalDist().inv_cdf(confidence)
        return not self.foretold and (seen or going_to)


def next_rung(rungs: Sequence[int], tried: Mapping[int, Tried], confidence: float) -> int:
    """The boldness to try, of `rungs`, rising: bolder and bolder while it is foretold to be kept, then bisection.

    Beyond what is too bold all is. Where `TELLING` audits of a rung told neither, a milder one is tried that was heard
    less, down to the one foretold to be kept: it may stay in doubt for good. Once nothing lies between what is too bold
    and the boldest that is foretold to be kept, the latter is tried until it has been shown to be.
    """
    failed = [b for b, there in tried.items() if there.is_too_bold(confidence)]
    hopeful = [b for b in rungs if b < min(failed, default=math.inf)]
    good = max((b for b in hopeful if b in tried and tried[b].foretold), default=None)
    ahead = [b for b in hopeful if good is None or b > good]
    if not ahead:
        return rungs[0] if good is None else good
    if not failed and good is None:
        return min(ahead, key=lambda b: abs(b - BEGIN))
    worth_trying = _middles(ahead) if failed else ahead[1::-1]
    return _first_open([*worth_trying, *([] if good is None else [good])], tried)


def _middles(rungs: Sequence[int]) -> list[int]:
    """The middle, the middle of the milder half, and so on."""
    return [rungs[len(rungs) // 2], *_middles(rungs[: len(rungs) // 2])] if rungs else []


def _first_open(rungs: Sequence[int], tried: Mapping[int, Tried]) -> int:
    """The first that was not heard so often that it may stay in doubt for good; if all were, the first."""
    return next((b for b in rungs if tried.get(b, Tried()).audits < TELLING), rungs[0])
