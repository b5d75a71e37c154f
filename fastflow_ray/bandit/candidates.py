"""The candidates, each a way to spend a budget of evaluations, and how audits decide between them.

No integrator is the best on every field. To interpolate is best where the field is smooth. It loses where the field is
stiff, for the evaluation that ends a skip is made at an x to which predictions led. To go back half of the way lies
between the two. On some fields a plain solver beats all that was learnt.

So an audit walks every candidate that could be the best, on a seed that is also run in full. The candidate that is
served is chosen by its audits and its standing, which was measured on other fields before and counts as a few audits.
Knows names, numbers and counts, not how a plan is walked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

DOUBT_DB = 5.0  # standard deviation of the difference of two candidates in one audit, as it is supposed
FEWEST_TO_RULE_OUT = 3  # audits of a candidate: one video may put the best one 20 dB behind
PRIOR = 3  # audits that a standing counts as where it differs much from field to field
FIRM = 10  # audits that it counts as where it differs by a decibel or two only


class Integrator(StrEnum):
    """How x is taken over a skip: which velocities are predicted, and whether the skip is re-integrated."""

    INTERPOLATE = "interpolate"  # predicted by kriging; re-integrated once the evaluation that ends the skip is known
    HALFWAY = "halfway"  # the same, but x is set to the mean of what it was before and what re-integration makes of it
    EXTRAPOLATE = "extrapolate"  # predicted by kriging, not re-integrated
    ADAMS = "adams"  # on the line through the last two velocities; re-integrated on the parabola through the next
    LINE = "line"  # on that line, not re-integrated; as FastFlow and Adams-Bashforth 2 do
    HOLD = "hold"  # the last velocity is kept: Euler with fewer steps


class Weighing(StrEnum):
    """How much the error of a skip counts where a path is chosen."""

    EARLY = "early"  # the earlier the more, by one law for all fields; times how far predictions were seen to miss
    GROWTH = "growth"  # by the factor by which it grows until the end, as audits measured it


@dataclass(frozen=True)
class Candidate:
    """One way to draw up a plan for any budget: which path, and which integrator."""

    integrator: Integrator
    emphasis: float | None = None  # the power to which `weighing` is raised; None: nothing learnt, evenly spread steps
    weighing: Weighing = Weighing.EARLY
    caution: float = 0.0  # the power of its length by which a skip counts for more
    standing_db: float = 0.0  # what it kept beyond the first candidate, on average over regimes of the embedded model
    firmness: int = PRIOR  # how many audits this standing counts as
    sparse_firmness: int | None = None  # the same where less than a third of the steps is evaluated; None: no different

    @property
    def is_learnt(self) -> bool:
        """Whether its path and its predictions of velocities come from what was learnt."""
        return self.emphasis is not None

    def firmness_at(self, sparse: bool) -> int:
        """How many audits its standing counts as; `sparse` where less than a third of the steps is evaluated."""
        return self.firmness if self.sparse_firmness is None or not sparse else self.sparse_firmness

    @property
    def name(self) -> str:
        """The name under which statistics keep its audits."""
        if self.emphasis is None:
            return self.integrator.value
        caution = f"-caution-{self.caution:g}" if self.caution else ""
        return f"{self.integrator}-{self.weighing}-{self.emphasis:g}{caution}"


# The first is served until another has been measured to be better. Where the rounded standings come from, the log says
# (docs/experiments.md): 2026-11-27, "Candidates that differ in caution"; for those that are less firm, 2026-11-26,
# "Where the error of a plan is made" and "What the second evaluation is worth".
CANDIDATES = (
    Candidate(Integrator.INTERPOLATE, 1.0, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.0, caution=2.0, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.5, firmness=FIRM),
    Candidate(Integrator.INTERPOLATE, 1.0, Weighing.GROWTH, caution=2.0, firmness=FIRM),
    Candidate(Integrator.HALFWAY, 1.0, standing_db=-2),
    Candidate(Integrator.EXTRAPOLATE, 1.0, standing_db=-5),
    # Where little is evaluated, Adams is the best without guidance and the worst with much: there audits decide soon.
    Candidate(Integrator.ADAMS, standing_db=-7, sparse_firmness=1),
    # On fields that differ from job to job, and on those that jump, one of these two is the best: audits decide soon.
    Candidate(Integrator.LINE, standing_db=-6, firmness=1),
    Candidate(Integrator.HOLD, standing_db=-9, firmness=1),
)


@dataclass(frozen=True)
class Record:
    """What audits measured of one candidate near one budget."""

    audits: int = 0
    mean_db: float = 0.0  # mean fidelity


def believed_best(
    records: Mapping[Candidate, Record], candidates: Sequence[Candidate] = CANDIDATES, *, sparse: bool = False
) -> Candidate:
    """Of the candidates that were audited, the one believed to keep most: its plan is served.

    The first of `candidates` before any audit. `sparse` where less than a third of the steps is evaluated.
    """
    believed = _believed_db(records, candidates, sparse)
    audited = [candidate for candidate in candidates if candidate in records]
    return max(audited or candidates[:1], key=lambda candidate: believed[candidate])


def contenders(
    records: Mapping[Candidate, Record],
    candidates: Sequence[Candidate] = CANDIDATES,
    fewest: int = FEWEST_TO_RULE_OUT,
    *,
    sparse: bool = False,
) -> list[Candidate]:
    """The candidates that could still be the best: with fewer than `fewest` audits, or within two doubts of the best.

    A doubt falls with the root of the audits. A candidate that is further behind is walked no more: successive
    elimination (Even-Dar, Mannor and Mansour 2006). `sparse` as for `believed_best`.
    """
    believed = _believed_db(records, candidates, sparse)
    best = believed_best(records, candidates, sparse=sparse)

    def could_win(candidate: Candidate) -> bool:
        audits = records.get(candidate, Record()).audits
        behind_db = believed[best] - believed[candidate]
        return audits < fewest or behind_db <= 2 * _doubt_db(min(audits, records.get(best, Record()).audits))

    return [candidate for candidate in candidates if could_win(candidate)]


def _believed_db(
    records: Mapping[Candidate, Record], candidates: Sequence[Candidate], sparse: bool
) -> dict[Candidate, float]:
    """The fidelity that each candidate is believed to keep: the mean of its audits and, as `firmness` audits more, of
    what its standing lets one expect.

    A standing is relative to the first candidate. What that one keeps on this field, each audit tells: the fidelity it
    measured, less the standing of its candidate. Their median is taken, for now and then an audit fails altogether.
    """
    heard = [(candidate, records[candidate]) for candidate in candidates if candidate in records]
    told_db = [record.mean_db - candidate.standing_db for candidate, record in heard for _ in range(record.audits)]
    first_db = median(told_db or [0.0])

    def believed_db(candidate: Candidate) -> float:
        record, firmness = records.get(candidate, Record()), candidate.firmness_at(sparse)
        expected_db = first_db + candidate.standing_db
        return (record.audits * record.mean_db + firmness * expected_db) / (record.audits + firmness)

    return {candidate: believed_db(candidate) for candidate in candidates}


def _doubt_db(audits: int) -> float:
    """Standard deviation of the mean difference of two candidates over so many audits."""
    return DOUBT_DB / math.sqrt(max(1, audits))
