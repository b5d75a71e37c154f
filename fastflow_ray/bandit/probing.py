"""Which budget an audit should try next, on the way to the boldest that keeps a fidelity. Knows counts only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HALF = 4  # the boldness to begin with: half of the steps
FEW = 3  # audits that all kept the fidelity: enough to try a bolder budget, not enough to promise one


class Tried(NamedTuple):
    """What audits at one boldness said about a fidelity."""

    audits: int = 0
    failures: int = 0  # that fell below it


def next_rung(rungs: Sequence[int], tried: Mapping[int, Tried], confidence: float) -> int:
    """The boldness to try, of `rungs`, rising: bolder and bolder while none has failed, then bisection.

    What failed twice, and more often than `confidence` allows, is too bold, and so is all beyond it. Once nothing lies
    between that and the boldest that did not fail, the latter is tried until it has been shown to hold.
    """
    may_fail = 1 - confidence
    failed = [b for b, (audits, failures) in tried.items() if failures > 1 and failures > may_fail * audits]
    kept = [b for b, (audits, failures) in tried.items() if audits >= FEW and failures <= may_fail * audits]
    hopeful = [b for b in rungs if b < min(failed, default=math.inf)]
    good = max((b for b in hopeful if b in kept), default=None)
    ahead = [b for b in hopeful if good is None or b > good]
    if not ahead:
        return rungs[0] if good is None else good
    if failed:
        return ahead[len(ahead) // 2]
    return min(ahead, key=lambda b: abs(b - HALF)) if good is None else ahead[:2][-1]
