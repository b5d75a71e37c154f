"""Whether a generation's seed is run in full too, which other plans are walked on it then, and what that teaches.

Knows how far the fleet's audits have come, and neither pipelines nor videos: a `Trial` holds what was made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from fastflow_ray.audit_measures import measured_growth, measured_response
from fastflow_ray.bandit.audits import boldness
from fastflow_ray.bandit.candidates import Candidate
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.turns import AT_ONCE, chance, lot
from fastflow_ray.learned_plan import SETTLED, learn, learn_misses
from fastflow_ray.pace import Pace
from fastflow_ray.plan_book import Offer, PlanBook
from fastflow_ray.promise import Promise
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

AUDIT_SHARE = 0.03  # of a busy fleet's evaluations
RIPE = 3  # full runs, before which a plan says little about the later ones of its candidate
SEARCH = 64  # audits of full runs, in search of the first plan that keeps a fidelity


class AuditPolicy:
    """Decides about the audit of one generation, and writes what it measures into every table that learns."""

    def __init__(
        self,
        known: TrajectoryTable,
        learning: Iterable[TrajectoryTable],
        book: PlanBook,
        pace: Pace,
        evaluations: int,
        candidate: Candidate | None,
        share: float = 1.0,
    ) -> None:
        """The generation is planned from `book`, at `evaluations` by `candidate` (None: by none), in a fleet that
        `known` is known of, and what it teaches goes to `learning`. `share` is this worker's part of the fleet's work,
        which it audits in proportion to."""
        self._known, self._learning, self._book = known, tuple(learning), book
        self._pace, self._evaluations, self._share = pace, evaluations, share
        self._served = None if candidate is None else book.offer(candidate, evaluations)
        self._promise = Promise.asked_for(pace, book)
        self._wanted = self._lacking()

    def is_due(self, seen: Sightings) -> bool:
        """Whether the fleet would learn enough to pay for it if this generation's seed were run in full too."""
        if self._wanted < 1:
            return False
        audited = self._known.steps + sum(offer.plan.evaluations for offer in self.rivals())
        jobs_long = audited / self._evaluations
        at_once = AT_ONCE if self._served else math.inf  # where the full run is made anyway, as many as are lacking
        return lot(seen.noise) < chance(self._wanted, self._share, jobs_long, at_once)

    def rivals(self) -> list[Offer]:
        """What an audit should walk: the plans that could be the best at this budget, or at the boldest budget that is
        not yet known to be too bold; and first the one that is served, for a promise has to be watched.

        None while plans are drawn up from next to nothing: those that learn would be held to it, and those that learn
        nothing would win.
        """
        if self._book.table.full_runs < RIPE:
            return []
        own = [] if self._served is None else [self._served]
        return [*own, *(offer for offer in self._book.contenders(self._probed()) if offer not in own)]

    def learn_full(self, full: Sightings, walked: Sightings, plan: Plan) -> None:
        """Take in the full run of a seed that was also walked by `plan`: all inner products, growth and response."""
        growth = measured_growth(plan, walked, full, self._book.dsigma)
        self._learn_response(plan, walked, full)
        learn(self._learning, full, known=self._book.table)
        for table in self._learning:
            table.growth.add(*growth)
            table.audit_evaluations += table.steps

    def learn_fidelity(self, offer: Offer, measured_db: float, ssim: float | None = None) -> None:
        """Take in the fidelity of a plan that was walked on a seed also run in full."""
        budget = boldness(self._known.steps, offer.plan.evaluations)
        for table in self._learning:
            table.audits.note(offer.candidate.name, budget, offer.expected_db, measured_db, ssim)

    def learn_walk(self, offer: Offer, seen: Sightings | None, full: Sightings) -> None:
        """Take in what a plan that was walked only for the audit showed beside the full run; None: it led the network
        astray. How velocities respond it shows where the generation itself, evaluating every step, did not."""
        for table in self._learning:
            table.audit_evaluations += offer.plan.evaluations
        if seen is None or not offer.candidate.is_learnt:
            return
        learn_misses(self._learning, offer.plan, seen, known=self._book.table)
        if self._served is None:
            self._learn_response(offer.plan, seen, full)

    def _learn_response(self, plan: Plan, walked: Sightings, full: Sightings) -> None:
        response = measured_response(plan, walked, full, self._book.sigmas)
        for table in self._learning:
            table.response.add(*response)

    def _lacking(self) -> float:
        """How many audits the fleet lacks: many while a key is young, then a small share of the work.

        Without a full run nothing is known that could be tried.
        """
        if self._pace.plan is not None or not self._book.knows:
            return 0.0
        known = self._known
        young = 1 + math.log2(1 + known.runs) - known.audits.audits
        if self._promise is not None and self._evaluations >= known.steps:
            # The full run is made anyway. Plans drawn up from few would soon be others, their audits void.
            young = self._left_to_search(self._promise) if known.full_runs >= SETTLED else 0.0
        return max(young, (AUDIT_SHARE * known.evaluations - known.audit_evaluations) / known.steps)

    def _left_to_search(self, promise: Promise) -> int:
        """How many audits the search for a plan may still make; one that kept the fidelity so far is not given up
        before it can be promised."""
        return max(SEARCH - self._known.audits.audits, promise.unproven())

    def _probed(self) -> int:
        """The budget an audit is about: the one that was asked for; where a fidelity was, one that might do."""
        if self._promise is not None:
            return self._promise.probe()
        if self._evaluations < self._known.steps:
            return self._evaluations
        return max(self._book.fewest, round(self._evaluations / 2))
