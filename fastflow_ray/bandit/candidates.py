"""The ways to spend a budget of evaluations that contend with each other, and how audits decide between them.

No integrator is the best everywhere: interpolating wins where the field is smooth and loses where it is stiff, for the
evaluation that ends a skip is made where the prediction led; going back half of the way is between the two. And on some
fields nothing learnt beats a plain solver. So every audit walks the contenders on the seed that was run in full,
and who is served is chosen by what was measured. Knows names, numbers and counts, not how a plan is walked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

DOUBT_DB = 5.0  # standard deviation of what one audit says about the difference of two candidates
HEARD = 3  # audits before anyone falls out: one video may put the best of candidates 20 dB behind


class Integrator(StrEnum):
    """How a skipped step is gone through."""

    INTERPOLATE = "interpolate"  # predicted by kriging, and gone again once the evaluation that ends the skip is known
    HALFWAY = "halfway"  # the mean of having gone once and having gone again
    EXTRAPOLATE = "extrapolate"  # predicted by kriging, once
    LINE = "line"  # along the line through the last two velocities, as FastFlow and Adams-Bashforth 2 do
    HOLD = "hold"  # with the last velocity: Euler with fewer steps


@dataclass(frozen=True)
class Candidate:
    """One way to draw up a plan for any budget."""

    integrator: Integrator
    emphasis: float | None = None  # growth^emphasis weighs the path's errors; None: evaluations evenly spread
    cautious: bool = False  # the path is planned as if no skip were ever gone again

    @property
    def name(self) -> str:
        """As statistics know it."""
        way = self.integrator.value if self.emphasis is None else f"{self.integrator.value}-{self.emphasis:g}"
        return f"{way}-cautious" if self.cautious else way


CANDIDATES = (  # the first is served until another has been measured to be better
    Candidate(Integrator.INTERPOLATE, 1.0),
    Candidate(Integrator.INTERPOLATE, 0.5),
    Candidate(Integrator.INTERPOLATE, 1.0, cautious=True),
    Candidate(Integrator.HALFWAY, 1.0),
    Candidate(Integrator.HALFWAY, 0.5),
    Candidate(Integrator.EXTRAPOLATE, 1.0),
    Candidate(Integrator.LINE),
    Candidate(Integrator.HOLD),
)


@dataclass(frozen=True)
class Record:
    """What audits said about one candidate near one budget."""

    audits: int = 0
    mean_db: float = 0.0  # measured fidelity


def served(records: Mapping[Candidate, Record], candidates: Sequence[Candidate] = CANDIDATES) -> Candidate:
    """The candidate with the best mean fidelity; the first where no audit has been made."""
    return max(candidates, key=lambda candidate: _mean_db(records.get(candidate, Record())))


def contenders(records: Mapping[Candidate, Record], candidates: Sequence[Candidate] = CANDIDATES) -> list[Candidate]:
    """Those that could still be the best: not yet heard, or within two doubts of the best mean.

    Successive elimination (Even-Dar, Mannor and Mansour 2006): the width falls with the root of the audits, and whoever
    falls behind by it is walked no more.
    """
    best = served(records, candidates)
    leader = records.get(best, Record())

    def could_win(candidate: Candidate) -> bool:
        record = records.get(candidate, Record())
        behind_db = leader.mean_db - record.mean_db
        return candidate == best or record.audits < HEARD or behind_db <= 2 * _doubt_db(record, leader)

    return [candidate for candidate in candidates if could_win(candidate)]


def _mean_db(record: Record) -> float:
    return record.mean_db if record.audits else -math.inf


def _doubt_db(one: Record, other: Record) -> float:
    return DOUBT_DB / math.sqrt(max(1, min(one.audits, other.audits)))
