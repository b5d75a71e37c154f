"""The promise of a fidelity, and how it is kept: by the plan of fewest evaluations that audits assure to keep it."""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.assurance import STRICTNESS, STRICTNESS_AFTER_A_FALL, is_proven
from fastflow_ray.bandit.audits import Fidelities, boldness
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate
from fastflow_ray.pace import Pace
from fastflow_ray.planning.plan_book import Offer, PlanBook


class Promise:
    """A generation keeps `fidelity_db`, in dB, with the probability `confidence`; the audits in `book` vouch for it."""

    def __init__(self, book: PlanBook, fidelity_db: float, confidence: float) -> None:
        self.book, self.fidelity_db, self.confidence = book, fidelity_db, confidence

    @classmethod
    def asked_for(cls, pace: Pace, book: PlanBook) -> Promise | None:
        """The promise to a job of this pace; None where it asked for no fidelity."""
        return None if pace.fidelity_db is None else cls(book, pace.fidelity_db, pace.confidence)

    @cached_property
    def ladder(self) -> dict[int, int]:
        """Rung → the budget it stands for, in evaluations; the boldest rung first.

        Of the budgets of one boldness that is the largest: audits of a smaller one err on the safe side for it.
        """
        steps = self.book.table.steps
        return {boldness(steps, budget): budget for budget in range(self.book.fewest, steps)}

    @cached_property
    def kept(self) -> Offer | None:
        """The plan that is served: of the boldest rung where one is assured to keep the fidelity.

        Of several there, one that is proven; of these, the one assured to keep most. None while no plan is assured:
        then every step has to be evaluated.
        """
        for rung in self.ladder:
            assured_db = {candidate: self.assured_db(candidate, rung) for candidate in CANDIDATES}
            keeping = [candidate for candidate in CANDIDATES if assured_db[candidate] >= self.fidelity_db]
            if keeping:
                best = max(keeping, key=lambda each: (self._is_proven_at(each, rung), assured_db[each]))
                return self.offer(best, rung)
        return None

    @property
    def is_proven(self) -> bool:
        """Whether the plan that is served is proven: audited so often that no distribution has to be assumed."""
        return self.kept is not None and is_proven(self.book.audited(self.kept).audits, self.confidence)

    @cached_property
    def may_fall(self) -> bool:
        """Whether videos of this key may fall into another mode, as an audit of any plan showed."""
        return self.book.table.audits.show_falls

    def offer(self, candidate: Candidate, rung: int) -> Offer:
        """The candidate's plan at this rung.

        Once an audit has walked a settled one, the path stays the same, whatever is learnt later: a path that evaluates
        one step earlier or later may keep far less, and audits vouch only for what they walked.
        """
        path = self.audited(candidate, rung).path
        if path is not None and self.book.admits(path):
            return self.book.along(candidate, path)
        return self.book.offer(candidate, self.ladder[rung])

    def assured_db(self, candidate: Candidate, rung: int) -> float:
        """The fidelity that the candidate's plans at this rung may be promised to keep; −inf by too few audits."""
        return self.audited(candidate, rung).assured_db(self.confidence, self._spread_db, self._strictness)

    def foretold_db(self, candidate: Candidate, rung: int) -> float:
        """As `assured_db`, but by however few audits; −inf without any."""
        return self.audited(candidate, rung).foretold_db(self.confidence, self._spread_db, self._strictness)

    def audited(self, candidate: Candidate, rung: int) -> Fidelities:
        """What audits measured of the candidate's plans at this rung."""
        return self.book.table.audits.at(candidate.name, rung)

    def _is_proven_at(self, candidate: Candidate, rung: int) -> bool:
        return is_proven(self.audited(candidate, rung).audits, self.confidence)

    @cached_property
    def _spread_db(self) -> float:
        return self.book.table.audits.common_spread_db

    @property
    def _strictness(self) -> float:
        return STRICTNESS_AFTER_A_FALL if self.may_fall else STRICTNESS
