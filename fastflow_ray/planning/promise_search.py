"""The search for the cheapest plan that keeps a promise: which plans the next audit walks.

It is a sequential search over the rungs of the promise's ladder. A bolder rung evaluates less, and is taken to keep
less: so a rung that is too bold rules out all that are bolder. The search climbs while audits lie far enough above the
fidelity, and goes by bisection once one was too bold. `bandit.probing` has this rule. The rung it names is the probed
one.

An audit walks plans beside the probed rung too. One rung may be promised soon, and another may have failed only because
its plans came from few full runs, or because only one candidate was tried.
"""

from __future__ import annotations

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.planning.plan_book import Offer
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_ladder import PromiseLadder


class PromiseSearch:
    """How far the search for one promise has come, by the audits so far."""

    def __init__(self, promise: Promise) -> None:
        self.promise = promise
        self._ladder = PromiseLadder(promise)

    @property
    def probed_budget(self) -> int | None:
        """The budget, in evaluations, of the probed rung; None where nothing can be skipped."""
        return None if self._rung is None else self.promise.budgets[self._rung]

    @property
    def audits_of_leader(self) -> int:
        """How many audits the leader of the probed rung has there."""
        return 0 if self._rung is None else self._ladder.tried(self._rung).audits

    @property
    def audits_at_probed(self) -> int:
        """The most audits that any candidate has at the probed rung."""
        return 0 if self._rung is None else self.promise.book.table.audits.most_audits_at(self._rung)

    @property
    def short_of_assured(self) -> int:
        """How many audits the leader of the probed rung lacks to be assured; 0 if it is not foretold to keep the
        fidelity."""
        is_foretold = self._rung is not None and self._ladder.tried(self._rung).foretold
        return max(0, FEWEST_TO_ASSURE - self.audits_of_leader) if is_foretold else 0

    @property
    def is_open(self) -> bool:
        """Whether a plan is assured to keep the promise, and the probed rung evaluates less."""
        served, probed = self.promise.served, self.probed_budget
        return served is not None and probed is not None and probed < served.plan.evaluations

    def worth_walking(self) -> list[Offer]:
        """The plans that the next audit should walk, each once, the probed rung's leader first.

        - At the probed rung: the leader and one rival; all candidates in the first audit.
        - At a milder rung, the one that could be promised first: the leader.
        - At the next bolder rung: the leader and one rival.
        """
        if self._rung is None:
            return []
        bolder = [rung for rung in self._ladder.rungs if rung > self._rung][:1]
        rungs = [self._rung, *self._ladder.nearest_to_a_promise(self._rung), *bolder]
        offers = [self.promise.offer(self._ladder.leader(rung), rung) for rung in rungs]
        offers += self._rivals(self._rung)
        offers += [rival for rung in bolder for rival in self._rivals(rung)[:1]]
        return [offer for place, offer in enumerate(offers) if offer not in offers[:place]]

    def _rivals(self, rung: int) -> list[Offer]:
        """The plan of the rival with the fewest audits at this rung; of every rival, before the key's first audit."""
        rivals = self._ladder.rivals(rung)
        walked = rivals[:1] if self.promise.book.table.audits.most_audits else rivals
        return [self.promise.offer(candidate, rung) for candidate in walked]

    @property
    def _rung(self) -> int | None:
        return self._ladder.probed_rung
