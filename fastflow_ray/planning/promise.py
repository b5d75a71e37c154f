"""Which plan is served to a job that asked for a fidelity: of all that audits assure to keep it, the cheapest.

A promise is a fidelity, PSNR in dB against the full run of the same seed, and a confidence: the probability with which
the job's video keeps it. A plan may be served if the lower prediction bound of its audits, `bandit.assurance`, is no
less than that fidelity. The cheapest plan evaluates the fewest steps. While there is none, every step is evaluated.

Budgets, in evaluations, are taken together by boldness: a whole number, 0 for every step and 4 more for each halving of
the evaluations. To a promise such a boldness is a rung, and all of them are its ladder. A bolder rung evaluates less.
Audits are counted by candidate and rung.

Which plans the next audit walks is not decided here: `promise_search` looks for a cheaper plan.
"""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.assurance import STRICTNESS, STRICTNESS_AFTER_A_FALL, is_proven
from fastflow_ray.bandit.audits import Fidelities, boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate
from fastflow_ray.pace import Pace
from fastflow_ray.planning.plan_book import Offer, PlanBook


class Promise:
    """That a video keeps `fidelity_db`, in dB, with the probability `confidence`, by the audits in `book`.

    Keeps what it has worked out: good for as long as the book says the same.
    """

    def __init__(self, book: PlanBook, fidelity_db: float, confidence: float) -> None:
        self.book, self.fidelity_db, self.confidence = book, fidelity_db, confidence

    @classmethod
    def asked_for(cls, pace: Pace, book: PlanBook) -> Promise | None:
        """The promise to a job of this pace; None where it asked for no fidelity."""
        return None if pace.fidelity_db is None else cls(book, pace.fidelity_db, pace.confidence)

    @cached_property
    def budgets(self) -> dict[int, int]:
        """The ladder: rung → the budget that stands for it, in evaluations; the boldest rung first.

        Of the budgets of one rung it is the largest. So audits of its smaller ones err on the safe side.
        """
        steps = self.book.table.steps
        rising = range(self.book.fewest, steps)
        return {boldness_of(steps, budget): budget for budget in rising}  # of one rung, a larger one takes the place

    @cached_property
    def served(self) -> Offer | None:
        """The plan that is served: of the boldest rung where one is assured to keep the fidelity.

        Of several there, one that is proven; of these, the one assured to keep most. None while no plan is assured:
        then every step has to be evaluated.
        """
        for rung in self.budgets:
            assured_db = {candidate: self.assured_db(candidate, rung) for candidate in CANDIDATES}
            keeping = [candidate for candidate in CANDIDATES if assured_db[candidate] >= self.fidelity_db]
            if keeping:
                best = max(keeping, key=lambda each: (self._is_proven_at(each, rung), assured_db[each]))
                return self.offer(best, rung)
        return None

    @property
    def is_proven(self) -> bool:
        """Whether the plan that is served is proven: audited so often that no distribution has to be assumed."""
        return self.served is not None and is_proven(self.book.audited(self.served).audits, self.confidence)

    @cached_property
    def may_fall(self) -> bool:
        """Whether videos of this key may fall into another mode, as an audit of any plan showed."""
        return self.book.table.audits.show_falls

    def offer(self, candidate: Candidate, rung: int) -> Offer:
        """The candidate's plan at this rung.

        Once a plan was audited that came from settled knowledge, its path stays, whatever is learnt later: a path that
        evaluates one step earlier or later may keep far less, and audits vouch only for what they walked.
        """
        path = self.audited(candidate, rung).path
        if path is not None and self.book.admits(path):
            return self.book.along(candidate, path)
        return self.book.offer(candidate, self.budgets[rung])

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
        """Standard deviation that the fidelities of all plans of the key have in common."""
        return self.book.table.audits.common_spread_db

    @property
    def _strictness(self) -> float:
        return STRICTNESS_AFTER_A_FALL if self.may_fall else STRICTNESS
