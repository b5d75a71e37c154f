"""The promise of a fidelity: the plan of fewest evaluations that audits assure to keep it."""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.assurance import LOOKS, LOOKS_AFTER_A_FALL, is_proven
from fastflow_ray.bandit.audits import Fidelities, boldness
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate
from fastflow_ray.pace import Pace
from fastflow_ray.planning.plan_book import Offer, PlanBook


class Promise:
    """That a generation keeps `fidelity_db` dB with the probability `confidence`, by what audits in `book` showed."""

    def __init__(self, book: PlanBook, fidelity_db: float, confidence: float) -> None:
        self.book, self.fidelity_db, self.confidence = book, fidelity_db, confidence

    @classmethod
    def asked_for(cls, pace: Pace, book: PlanBook) -> Promise | None:
        """What a job of this pace was promised; None where it asked for no fidelity."""
        return None if pace.fidelity_db is None else cls(book, pace.fidelity_db, pace.confidence)

    @cached_property
    def ladder(self) -> dict[int, int]:
        """Boldness → the least bold budget of it, for which all audits there may speak; the boldest first."""
        steps = self.book.table.steps
        return {boldness(steps, budget): budget for budget in range(self.book.fewest, steps)}

    @cached_property
    def kept(self) -> Offer | None:
        """The plan of fewest evaluations that is assured to hold it, rather one that is proven to; None while no plan
        is, and every step has to be evaluated."""
        for rung in self.ladder:
            assured = {candidate: self.assured_db(candidate, rung) for candidate in CANDIDATES}
            holding = [candidate for candidate in CANDIDATES if assured[candidate] >= self.fidelity_db]
            if holding:
                return self.offer(max(holding, key=lambda each: (self._proves(each, rung), assured[each])), rung)
        return None

    @property
    def is_proven(self) -> bool:
        """Whether the plan that is kept was audited so often that no distribution has to be assumed."""
        return self.kept is not None and is_proven(self.book.audited(self.kept).audits, self.confidence)

    @cached_property
    def may_fall(self) -> bool:
        """Whether videos fall into another mode now and then, by what was seen of any plan."""
        return self.book.table.audits.show_falls

    def offer(self, candidate: Candidate, rung: int) -> Offer:
        """Its plan of this boldness: along the path that was audited since plans have settled, though more is known by
        now. One step evaluated earlier or later may keep far less, and audits vouch for what they walked."""
        path = self.audited(candidate, rung).path
        if path is not None and self.book.admits(path):
            return self.book.along(candidate, path)
        return self.book.offer(candidate, self.ladder[rung])

    def assured_db(self, candidate: Candidate, rung: int) -> float:
        """What its plans of this boldness may be promised to keep; −inf by too few audits."""
        return self.audited(candidate, rung).assured_db(self.confidence, self._spread_db, self._looks)

    def foretold_db(self, candidate: Candidate, rung: int) -> float:
        """The same by however few audits; −inf without any."""
        return self.audited(candidate, rung).foretold_db(self.confidence, self._spread_db, self._looks)

    def audited(self, candidate: Candidate, rung: int) -> Fidelities:
        """What its plans of this boldness kept."""
        return self.book.table.audits.at(candidate.name, rung)

    def _proves(self, candidate: Candidate, rung: int) -> bool:
        return is_proven(self.audited(candidate, rung).audits, self.confidence)

    @cached_property
    def _spread_db(self) -> float:
        return self.book.table.audits.common_spread_db

    @property
    def _looks(self) -> float:
        return LOOKS_AFTER_A_FALL if self.may_fall else LOOKS
