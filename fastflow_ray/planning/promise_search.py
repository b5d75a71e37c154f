"""The search for the plan of fewest evaluations that keeps a fidelity: what the next audit should walk.

It climbs a ladder: bolder and bolder while audits lie far enough above, and by halves from there.
"""

from __future__ import annotations

from fastflow_ray.bandit.assurance import FEW
from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.planning.plan_book import Offer
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_ladder import PromiseLadder


class PromiseSearch:
    """Where the search for what a promise can be kept with stands, by what audits said so far."""

    def __init__(self, promise: Promise) -> None:
        self.promise = promise
        self._ladder = PromiseLadder(promise)

    @property
    def probed(self) -> int | None:
        """The budget that is worth an audit; None where nothing can be skipped."""
        return None if self._rung is None else self.promise.ladder[self._rung]

    @property
    def audits(self) -> int:
        """How often the best plan of that budget was audited."""
        return 0 if self._rung is None else self._ladder.tried(self._rung).audits

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
        is_foretold = self._rung is not None and self._ladder.tried(self._rung).foretold
        return max(0, FEW - self.audits) if is_foretold else 0

    def worth_walking(self) -> list[Offer]:
        """The best and a rival on the probed rung, everyone in the first audit; the best on the one that could be
        promised first; the best and a rival on the next bolder one, which may have failed while plans came from few
        full runs, or for the only one that was tried there."""
        if self._rung is None:
            return []
        bolder = [rung for rung in self._ladder.rungs if rung > self._rung][:1]
        rungs = [self._rung, *self._ladder.nearest_to_a_promise(self._rung), *bolder]
        offers = [self.promise.offer(self._ladder.leader(rung), rung) for rung in rungs]
        offers += self._rivals(self._rung)
        offers += [rival for rung in bolder for rival in self._rivals(rung)[:1]]
        return [offer for place, offer in enumerate(offers) if offer not in offers[:place]]

    def _rivals(self, rung: int) -> list[Offer]:
        """Of whoever could be the best there the one audited least; everyone, before any audit."""
        rivals = self._ladder.rivals(rung)
        walked = rivals[:1] if self.promise.book.table.audits.audits else rivals
        return [self.promise.offer(candidate, rung) for candidate in walked]

    @property
    def _rung(self) -> int | None:
        return self._ladder.probed
