"""Whether a generation's seed is run in full too, which other plans are walked on it then, and what that teaches.

Knows how far the fleet's audits have come, and neither pipelines nor videos: a `Trial` holds what was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from fastflow_ray.bandit.audits import IDENTICAL_DB, boldness
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.turns import AT_ONCE, chance, lot
from fastflow_ray.pace import Pace
from fastflow_ray.planning.audit_measures import measured_growth, measured_response
from fastflow_ray.planning.audit_need import RIPE, audits_lacking
from fastflow_ray.planning.learning import SETTLED, learn, learn_misses
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_search import PromiseSearch
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings


class BothWays(NamedTuple):
    """A path as it would be served, and by predictions that are smooth where those are not, or the other way round."""

    own: Plan
    other: Plan


class AuditPolicy:
    """Decides about the audit of one generation, and writes what it measures into every table that learns."""

    def __init__(
        self,
        known: TrajectoryTable,
        learning: Iterable[TrajectoryTable],
        book: PlanBook,
        pace: Pace,
        evaluations: int,
        served: Offer | None,
        share: float = 1.0,
    ) -> None:
        """The generation is planned from `book`, at `evaluations`, and `served` that plan (None: it was given, or skips
        nothing), in a fleet that `known` is known of, and what it teaches goes to `learning`. `share` is this worker's
        part of the fleet's work, which it audits in proportion to."""
        self._known, self._learning, self._book = known, tuple(learning), book
        self._evaluations, self._served, self._share = evaluations, served, share
        promise = Promise.asked_for(pace, book)
        self._search = None if promise is None else PromiseSearch(promise)
        is_settled = pace.plan is not None or pace.wants_every(known.steps)
        self._wanted = 0.0 if is_settled or not book.knows else audits_lacking(known, self._search, served)

    def is_due(self, seen: Sightings) -> bool:
        """Whether the fleet would learn enough to pay for it if this generation's seed were run in full too."""
        if self._wanted < 1:
            return False
        walked = [offer.plan.evaluations for offer in self.rivals]
        audited = self._known.steps + sum(walked) + self._evaluations * self._is_smoothing_open
        jobs_long = audited / self._evaluations
        at_once = AT_ONCE if self._served else math.inf  # where the full run is made anyway, as many as are lacking
        return lot(seen.noise) < chance(self._wanted, self._share, jobs_long, at_once)

    @cached_property
    def rivals(self) -> list[Offer]:
        """What an audit should walk: the plan that is served first, for a promise has to be watched; then those that
        could be the best at this budget, or that could keep the promise by fewer evaluations.

        None while plans are drawn up from next to nothing: those that learn would be held to it, and those that learn
        nothing would win.
        """
        if self._book.table.full_runs < RIPE:
            return []
        own = [] if self._served is None else [self._served]
        others = self._book.contenders(self._evaluations) if self._search is None else self._search.worth_walking()
        return [*own, *(offer for offer in others if offer not in own)]

    def promised(self, walked: Plan) -> list[Offer]:
        """What an audit tells of that a user asked for, and not the fleet: the plan that a promise rests on, where it
        was walked as it is. Who is served at a speed it does not tell, for no rival was walked on the same seed."""
        if self._search is None or self._served is None or self._served.plan != walked:
            return []
        return [self._served]

    def both_ways(self, walked: Plan) -> BothWays | None:
        """The plan that the generation `walked`, or of the first rival that learns where its own was not learnt; None
        where nobody learns, audits have told which way is better, or a promise rests on plans as they are."""
        own = [] if self._served is None else [self._served._replace(plan=walked)]
        learnt = next((offer for offer in [*own, *self.rivals] if offer.candidate.is_learnt), None)
        if learnt is None or not self._is_smoothing_open:
            return None
        return BothWays(learnt.plan, self._book.other_way(learnt.plan, learnt.candidate))

    @property
    def _is_smoothing_open(self) -> bool:
        return self._search is None and self._book.table.smoothing.is_open

    def learn_full(self, full: Sightings, walked: Sightings, plan: Plan) -> None:
        """Take in the full run of a seed that was also walked by `plan`: all inner products, growth and response."""
        growth = measured_growth(plan, walked, full, self._book.dsigma)
        self._learn_response(plan, walked, full)
        learn(self._learning, full, known=self._book.table, mean=self._book.mean)
        for table in self._learning:
            table.growth.add(*growth)

    def charge_full(self) -> None:
        """Count the full run among what the fleet evaluates to learn, where it was the fleet that wanted it."""
        for table in self._learning:
            table.audit_evaluations += table.steps

    def learn_fidelity(self, offer: Offer, measured_db: float, ssim: float | None = None) -> None:
        """Take in the fidelity of a plan that was walked on a seed also run in full; and for a promise its path, once
        plans have settled."""
        budget = boldness(self._known.steps, offer.plan.evaluations)
        has_settled = self._search is not None and self._book.table.full_runs >= SETTLED
        path = offer.plan.evaluated if has_settled else None
        for table in self._learning:
            table.audits.note(offer.candidate.name, budget, measured_db, ssim, path)

    def learn_walk(self, offer: Offer, seen: Sightings | None, full: Sightings) -> None:
        """Take in what a plan that was walked only for the audit showed beside the full run; None: it led the network
        astray. How velocities respond it shows where the generation itself, evaluating every step, did not."""
        for table in self._learning:
            table.audit_evaluations += offer.plan.evaluations
        if seen is None or not offer.candidate.is_learnt:
            return
        learn_misses(self._learning, offer.plan, seen, known=self._book.table, mean=self._book.mean)
        if self._served is None:
            self._learn_response(offer.plan, seen, full)

    def learn_smoothing(self, both_ways: BothWays, own_db: float, other_db: float) -> None:
        """Take in what a plan kept, and what the other way did on the same seed."""
        beyond_db = min(other_db, IDENTICAL_DB) - min(own_db, IDENTICAL_DB)
        gain_db = -beyond_db if self._book.table.smoothing.pays else beyond_db
        for table in self._learning:
            table.audit_evaluations += both_ways.other.evaluations
            table.smoothing.add(gain_db)

    def _learn_response(self, plan: Plan, walked: Sightings, full: Sightings) -> None:
        response = measured_response(plan, walked, full, self._book.sigmas)
        for table in self._learning:
            table.response.add(*response)
