"""Which rung the next audit for a promise should try, to find the boldest that keeps a fidelity.

A rung is a boldness: the higher it is, the fewer steps are evaluated. Knows counts of audits, and no plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

BEGIN = 5  # the boldness to begin with: N / 2^(5/4) evaluations, 21 of 50
TELLING = 6  # audits by whose mean and spread a rung is judged; a rare failure is seen only after many more


class Tried(NamedTuple):
    """What the audits at one rung said about a fidelity."""

    audits: int = 0
    failures: int = 0  # audits that kept less than the fidelity
    headroom: float = math.inf  # how far their mean lies above the fidelity, in their standard deviations
    foretold: bool = False  # whether the next generation is foretold to keep the fidelity

    def is_too_bold(self, confidence: float) -> bool:
        """Whether more than 1 − `confidence` of the videos fail there: as two failures show, or as the spread tells."""
        has_failed = self.failures > 1 and self.failures > (1 - confidence) * self.audits
        will_fail = self.audits >= TELLING and self.headroom < NormalDist().inv_cdf(confidence)
        return not self.foretold and (has_failed or will_fail)


def next_rung(rungs: Sequence[int], tried: Mapping[int, Tried], confidence: float) -> int:
    """The rung to try next, one of `rungs`, which rise. What is bolder than a rung that is too bold, is so as well.

    - It begins with the rung nearest to `BEGIN`, until this one is foretold to be kept or is too bold.
    - While none is too bold, it goes two rungs beyond the boldest that is foretold to be kept; one, where that is all.
    - Then it goes by bisection between what is foretold to be kept and what is too bold.
    - A rung that `TELLING` audits leave in doubt may stay in doubt for good. So a milder one with fewer audits is tried
      instead, down to the one that is foretold to be kept.
    - Where nothing is left between the two, it stays at the boldest that is foretold to be kept.
    """
    too_bold = [rung for rung, there in tried.items() if there.is_too_bold(confidence)]
    possible = [rung for rung in rungs if rung < min(too_bold, default=math.inf)]
    foretold = max((rung for rung in possible if rung in tried and tried[rung].foretold), default=None)
    in_question = [rung for rung in possible if foretold is None or rung > foretold]
    if not in_question:
        return rungs[0] if foretold is None else foretold
    if not too_bold and foretold is None:
        return min(in_question, key=lambda rung: abs(rung - BEGIN))
    worth_trying = _by_bisection(in_question) if too_bold else in_question[1::-1]
    return _first_with_few_audits([*worth_trying, *([] if foretold is None else [foretold])], tried)


def _by_bisection(rungs: Sequence[int]) -> list[int]:
    """The middle one, then the middle of the milder half, and so on."""
    return [rungs[len(rungs) // 2], *_by_bisection(rungs[: len(rungs) // 2])] if rungs else []


def _first_with_few_audits(rungs: Sequence[int], tried: Mapping[int, Tried]) -> int:
    """The first with fewer than `TELLING` audits; where each has as many, the first."""
    return next((rung for rung in rungs if tried.get(rung, Tried()).audits < TELLING), rungs[0])
