"""The promise of a fidelity: by how few evaluations it was shown to hold, and which budget is worth trying next."""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.audits import boldness, convincing
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.pace import Pace
from fastflow_ray.plan_book import PlanBook


class Promise:
    """That a generation keeps `fidelity_db` dB with the probability `confidence`, by what audits in `book` showed."""

    def __init__(self, book: PlanBook, fidelity_db: float, confidence: float) -> None:
        self._book, self._fidelity_db, self._confidence = book, fidelity_db, confidence
        self._steps = book.table.steps

    @classmethod
    def asked_for(cls, pace: Pace, book: PlanBook) -> Promise | None:
        """What a job of this pace was promised; None where it asked for no fidelity."""
        return None if pace.fidelity_db is None else cls(book, pace.fidelity_db, pace.confidence)

    def fewest(self) -> int:
        """The fewest evaluations of which audits have shown that they hold it; all where there are none."""
        boldest_first = sorted(self._ladder.values()) if self._book.knows else []
        return next((budget for budget in boldest_first if self._holds(budget)), self._steps)

    def probe(self) -> int:
        """The budget that is worth an audit, on the way to the fewest evaluations that hold it."""
        return self._ladder[self._search[0]] if self._ladder else self._steps

    def unproven(self) -> int:
        """The audits that this budget lacks at least before it can be promised; 0 if it has not kept it so far."""
        if not self._ladder:
            return 0
        _, tried = self._search
        return max(0, convincing(self._confidence) - tried.audits) if tried.holds_so_far(self._confidence) else 0

    def _holds(self, budget: int) -> bool:
        return self._book.assured_db(budget, self._confidence) >= self._fidelity_db

    @cached_property
    def _ladder(self) -> dict[int, int]:
        """The least bold budget of every boldness: for it all audits there may speak."""
        return {boldness(self._steps, budget): budget for budget in range(self._book.fewest, self._steps)}

    @cached_property
    def _search(self) -> tuple[int, Tried]:
        """The rung of the ladder that is worth an audit, and what audits said of it so far."""
        tried = {rung: self._tried(rung, budget) for rung, budget in self._ladder.items()}
        rung = next_rung(sorted(tried), tried, self._confidence)
        return rung, tried[rung]

    def _tried(self, rung: int, budget: int) -> Tried:
        candidate = self._book.served(budget)
        shortfalls = self._book.table.audits.at(candidate.name, rung)
        if not shortfalls.audits:
            return Tried()
        allowed_db = self._book.offer(candidate, budget).expected_db - self._fidelity_db
        failures = sum(n for db, n in shortfalls.counts.items() if db > allowed_db)
        return Tried(shortfalls.audits, failures, (allowed_db - shortfalls.mean_db) / shortfalls.spread_db)
