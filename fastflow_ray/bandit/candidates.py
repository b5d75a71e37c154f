"""The ways to spend a budget of evaluations that contend with each other, and how audits decide between them.

No integrator is the best everywhere: interpolating wins where the field is smooth and loses where it is stiff, for the
evaluation that ends a skip is made where the prediction led; going back half of the way is between the two. And on some
fields nothing learnt beats a plain solver. So every audit walks the contenders on the seed that was run in full,
and who is served is chosen by what was measured, here and, with the weight of a few audits, on other fields before.
Knows names, numbers and counts, not how a plan is walked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

DOUBT_DB = 5.0  # standard deviation of what one audit says about the difference of two candidates
HEARD = 3  # audits before anyone falls out: one video may put the best of candidates 20 dB behind
PRIOR = 3  # audits that a standing counts as if it varies between fields
FIRM = 10  # audits that it counts as if it varies by a decibel or two


class Integrator(StrEnum):
    """How a skipped step is gone through."""

    INTERPOLATE = "interpolate"  # predicted by kriging, and gone again once the evaluation that ends the skip is known
    HALFWAY = "halfway"  # the mean of having gone once and having gone again
    EXTRAPOLATE = "extrapolate"  # predicted by kriging, once
    ADAMS = "adams"  # along the line through the last two velocities, and gone again along the parabola to the next
    LINE = "line"  # along the line, once, as FastFlow and Adams-Bashforth 2 do
    HOLD = "hold"  # with the last velocity: Euler with fewer steps


class Weighing(StrEnum):
    """What the errors of a path's skips are weighed by."""

    EARLY = "early"  # the earlier the heavier, by one law for all fields; and by how far predictions were seen to miss
    GROWTH = "growth"  # as audits measured deviations to grow


@dataclass(frozen=True)
class Candidate:
    """One way to draw up a plan for any budget."""

    integrator: Integrator
    emphasis: float | None = None  # the power of law or growth that weighs errors; None: fewer steps, evenly spread
    weighing: Weighing = Weighing.EARLY
    caution: float = 0.0  # the power of its length by which a skip counts for more
    standing_db: float = 0.0  # what it kept beyond the first, on average over regimes of the embedded model
    firmness: int = PRIOR  # how many audits this standing counts as
    sparse_firmness: int | None = None  # the same where less than a third of the steps is evaluated, if it differs

    @property
    def is_learnt(self) -> bool:
        """Whether its path comes from what was learnt, and its predictions of skipped velocities do."""
        return self.emphasis is not None

    def firmness_at(self, sparse: bool) -> int:
        """How many audits its standing counts as, where less than a third of the steps is evaluated or more."""
        return self.firmness if self.sparse_firmness is None or not sparse else self.sparse_firmness

    @property
    def name(self) -> str:
        """As statistics know it."""
        if self.emphasis is None:
            return self.integrator.value
        caution = f"-caution-{self.caution:g}" if self.caution else ""
        return f"{self.integrator}-{self.weighing}-{self.emphasis:g}{caution}"


# The first is served until another has been measured to be better. Standings, rounded: docs/experiments.md, 2026-11-27,
# "Candidates that differ in caution"; of those that are less firm, 2026-11-26, "Where the error of a plan is made" and
# "What the second evaluation is worth".
CANDIDATES = (
    Candidate(Integrator.INTERPOLATE, 1.0, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.0, caution=2.0, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.5, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.0, Weighing.GROWTH, caution=2.0, firmness=FIRM),
    Candidate(Integrator.HALFWAY, 1.0, standing_db=-2),
    Candidate(Integrator.EXTRAPOLATE, 1.0, standing_db=-5),
    Candidate(Integrator.ADAMS, standing_db=-7, sparse_firmness=1),  # the best without guidance, the worst with much
    Candidate(Integrator.LINE, standing_db=-6, firmness=1),  # on fields that differ from job to job, and on those that
    Candidate(Integrator.HOLD, standing_db=-9, firmness=1),  # jump, one of the two is the best: audits soon tell
)


@dataclass(frozen=True)
class Record:
    """What audits said about one candidate near one budget."""

    audits: int = 0
    mean_db: float = 0.0  # measured fidelity


def served(
    records: Mapping[Candidate, Record], candidates: Sequence[Candidate] = CANDIDATES, *, sparse: bool = False
) -> Candidate:
    """Of the candidates that were audited the one believed to keep most; the first where no audit has been made.
    `sparse` where less than a third of the steps is evaluated."""
    believed = _believed_db(records, candidates, sparse)
    audited = [candidate for candidate in candidates if candidate in records]
    return max(audited or candidates[:1], key=lambda candidate: believed[candidate])


def contenders(
    records: Mapping[Candidate, Record],
    candidates: Sequence[Candidate] = CANDIDATES,
    heard: int = HEARD,
    *,
    sparse: bool = False,
) -> list[Candidate]:
    """Those that could still be the best: with less than `heard` audits, or within two doubts of the best.

    Successive elimination (Even-Dar, Mannor and Mansour 2006): the width falls with the root of the audits, and whoever
    falls behind by it is walked no more.
    """
    believed = _believed_db(records, candidates, sparse)
    best = served(records, candidates, sparse=sparse)

    def could_win(candidate: Candidate) -> bool:
        audits = records.get(candidate, Record()).audits
        behind_db = believed[best] - believed[candidate]
        return audits < heard or behind_db <= 2 * _doubt_db(min(audits, records.get(best, Record()).audits))

    return [candidate for candidate in candidates if could_win(candidate)]


def _believed_db(
    records: Mapping[Candidate, Record], candidates: Sequence[Candidate], sparse: bool
) -> dict[Candidate, float]:
    """Each candidate's mean fidelity, to which its standing counts as its firmness says.

    A standing is relative: what the field keeps at all is told by the median over all audits, for now and then one
    fails altogether.
    """
    heard = [(each, records[each]) for each in candidates if each in records]
    levels_db = [record.mean_db - each.standing_db for each, record in heard for _ in range(record.audits)]
    level_db = median(levels_db or [0.0])

    def believed_db(candidate: Candidate) -> float:
        record, firmness = records.get(candidate, Record()), candidate.firmness_at(sparse)
        prior_db = level_db + candidate.standing_db
        return (record.audits * record.mean_db + firmness * prior_db) / (record.audits + firmness)

    return {candidate: believed_db(candidate) for candidate in candidates}


def _doubt_db(audits: int) -> float:
    return DOUBT_DB / math.sqrt(max(1, audits))
