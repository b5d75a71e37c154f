"""The search for the plan of fewest evaluations that keeps a fidelity: what the next audit should walk.

It climbs a ladder, a rung per boldness: bolder and bolder while audits lie far enough above, and by halves from there.
"""

from __future__ import annotations

from functools import cached_property

from fastflow_ray.bandit.assurance import FEW
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, contenders, served
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.plan_book import Offer
from fastflow_ray.promise import Promise


class PromiseSearch:
    """Where the search for what a promise can be kept with stands, by what audits said so far."""

    def __init__(self, promise: Promise) -> None:
        self.promise, self._book = promise, promise.book
        self._rungs = sorted(promise.ladder)

    @property
    def probed(self) -> int | None:
        """The budget that is worth an audit; None where nothing can be skipped."""
        return None if self._rung is None else self.promise.ladder[self._rung]

    @property
    def audits(self) -> int:
        """How often the best plan of that budget was audited."""
        return 0 if self._rung is None else self._tried[self._rung].audits

    @property
    def heard(self) -> int:
        """How often any plan of that budget was, at most."""
        rung = self._rung
        return 0 if rung is None else max(self.promise.audited(each, rung).audits for each in CANDIDATES)

    @property
    def is_open(self) -> bool:
        """Whether fewer evaluations than the promise is kept by could still do."""
        kept = self.promise.kept
        return kept is not None and self.probed is not None and self.probed < kept.plan.evaluations

    @property
    def unproven(self) -> int:
        """The audits that this budget lacks before it can be promised; 0 if it is not foretold to be."""
        is_foretold = self._rung is not None and self._tried[self._rung].foretold
        return max(0, FEW - self.audits) if is_foretold else 0

    def worth_walking(self) -> list[Offer]:
        """The best and a rival on the probed rung, everyone in the first audit; the best on the one that could be
        promised first; the best and a rival on the next bolder one, which may have failed while plans came from few
        full runs, or for the only one that was tried there."""
        if self._rung is None:
            return []
        above = [rung for rung in self._rungs if rung > self._rung][:1]
        best = [self._offer(rung) for rung in (self._rung, *self._nearest_to_a_promise(self._rung), *above)]
        offers = [*best, *self._rivals(self._rung), *(self._rivals(above[0])[:1] if above else [])]
        return [offer for place, offer in enumerate(offers) if offer not in offers[:place]]

    def best(self, rung: int) -> Candidate | None:
        """Who speaks for a rung: of those foretold to keep the promise there the one heard most, for it is the nearest
        to being promised; else whoever could still be shown to. Of these the one foretold to keep most: who keeps a
        little less on average but never fails is the better one. None where no audit was made."""
        audited = [candidate for candidate in CANDIDATES if self.promise.audited(candidate, rung).audits]
        contending = contenders(self._records(rung), heard=1)

        def merit(candidate: Candidate) -> tuple[int, bool, float]:
            tried = self._tried_by(candidate, rung)
            could = candidate in contending and not tried.is_too_bold(self.promise.confidence)
            return tried.audits if tried.foretold else 0, could, self.promise.foretold_db(candidate, rung)

        return max(audited, key=merit, default=None)

    def _offer(self, rung: int) -> Offer:
        return self.promise.offer(self._leader(rung), rung)

    def _leader(self, rung: int) -> Candidate:
        """The best one; where none was audited, who is served nearest to it."""
        return self._best[rung] or served(self._records(rung))

    def _rivals(self, rung: int) -> list[Offer]:
        """The one that was audited least of those that could be the best there; all, before any audit."""
        leader = self._leader(rung)
        others = [candidate for candidate in contenders(self._records(rung), heard=1) if candidate != leader]
        least_first = sorted(others, key=lambda candidate: self.promise.audited(candidate, rung).audits)
        walked = least_first[:1] if self._book.table.audits.audits else least_first
        return [self.promise.offer(candidate, rung) for candidate in walked]

    def _records(self, rung: int) -> dict[Candidate, Record]:
        return self._book.records(self.promise.ladder[rung])

    def _nearest_to_a_promise(self, rung: int) -> list[int]:
        """The boldest of the rungs below that is foretold to keep the fidelity; the next one below where none is."""
        below = [other for other in self._rungs if other < rung]
        return ([other for other in below if self._tried[other].foretold] or below)[-1:]

    @cached_property
    def _rung(self) -> int | None:
        """The boldness that is worth an audit."""
        return next_rung(self._rungs, self._tried, self.promise.confidence) if self._rungs else None

    @cached_property
    def _tried(self) -> dict[int, Tried]:
        """What audits said of every rung, by the best one there."""
        return {rung: Tried() if who is None else self._tried_by(who, rung) for rung, who in self._best.items()}

    @cached_property
    def _best(self) -> dict[int, Candidate | None]:
        return {rung: self.best(rung) for rung in self._rungs}

    def _tried_by(self, candidate: Candidate, rung: int) -> Tried:
        fidelity_db, seen = self.promise.fidelity_db, self.promise.audited(candidate, rung)
        headroom = (seen.mean_db - fidelity_db) / seen.spread_db
        is_foretold = self.promise.foretold_db(candidate, rung) >= fidelity_db
        return Tried(seen.audits, seen.below(fidelity_db), headroom, is_foretold)
