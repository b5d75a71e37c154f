"""The decisions about the audit of one generation: whether it is made, which plans it walks, and what it teaches.

An audit runs the generation's seed in full too, and walks other plans on it. It costs several generations, and nobody
has to ask for it. So three questions are answered here.

- Whether: by lot. How many audits the fleet lacks for this policy key (`audit_need`) gives the probability, and a
  number that the generation's own noise draws decides. No worker has to ask another one.
- Which plans: the one that is served, and those that could be better at the same budget. Where a fidelity was promised,
  those that its search names (`promise_search`), at other budgets too.
- What it teaches: the fidelity of each plan, and by what was seen on the way inner products, growth, response, misses,
  and whether smooth predictions pay. All of it goes into every table that learns, with the evaluations it took.

A `Trial` carries it out. Knows neither pipelines nor videos.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from fastflow_ray.bandit.audits import IDENTICAL_DB, boldness_of
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.turns import AT_ONCE, chance, lot
from fastflow_ray.pace import Pace
from fastflow_ray.planning.audit_measures import measured_growth, measured_response
from fastflow_ray.planning.audit_need import RIPE, Need, audit_need
from fastflow_ray.planning.learning import SETTLED, learn_misses, learn_velocities
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_search import PromiseSearch
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings


class BothWays(NamedTuple):
    """Two plans of one path: one predicts smoothly, the other as learnt."""

    own: Plan  # the way in which the key's plans predict now
    other: Plan


class AuditPolicy:
    """The audit policy of one generation. Its decisions rest on what was known when it began, whatever is learnt."""

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
        """Weigh how many audits are lacking: none where the plan was given, or skips nothing whatever audits tell.

        Args:
            known: what the fleet knows of the key.
            learning: the tables that learn from the audit.
            book: what the generation's plan comes from.
            pace: what was asked of the generation.
            evaluations: how many steps its plan evaluates.
            served: its plan; None where that was given, or evaluates every step.
            share: this worker's part of the fleet's work, 0 to 1; it makes as large a part of the audits.
        """
        self._known, self._learning, self._book = known, tuple(learning), book
        self._evaluations, self._served, self._share = evaluations, served, share
        promise = Promise.asked_for(pace, book)
        self._search = None if promise is None else PromiseSearch(promise)
        is_plan_fixed = pace.plan is not None or pace.wants_every(known.steps) or _is_beyond_measure(pace)
        self._need = Need(0.0) if is_plan_fixed or not book.knows else audit_need(known, self._search, served)

    def is_due(self, seen: Sightings) -> bool:
        """Whether this generation is audited: the fleet lacks audits, and the lot of its noise, in [0, 1), is below the
        chance."""
        if self._need.audits < 1:
            return False
        drawn = lot(seen.noise)
        if drawn >= self._chance(jobs_long=1):
            return False  # told before rivals are drawn up, by which an audit is longer
        return drawn < self._chance(self._evaluations_of_audit / self._evaluations)

    def _chance(self, jobs_long: float) -> float:
        """The probability that this generation is audited, if an audit takes as much work as `jobs_long` jobs."""
        at_once = AT_ONCE if self._served else math.inf  # where the full run is made anyway, as many as are lacking
        return min(chance(self._need.audits, self._share, jobs_long, at_once), self._need.of_jobs)

    @property
    def _evaluations_of_audit(self) -> int:
        """The full run's, the rivals', and those of the path walked the other way while it is open which is better."""
        walked = [offer.plan.evaluations for offer in self.rivals]
        return self._known.steps + sum(walked) + self._evaluations * self._is_smoothing_open

    @cached_property
    def rivals(self) -> list[Offer]:
        """The plans whose fidelity an audit measures that the fleet wants.

        First the plan that is served, as it was drawn up: the generation may have altered it on the way, and a promise
        has to be watched. Then those that could be the best at this budget; for a promise, those that its search names.

        Empty while few full runs are known: learnt plans would be judged by what they were drawn up from then, and
        plans that learn nothing would win.
        """
        if self._book.table.full_runs < RIPE:
            return []
        own = [] if self._served is None else [self._served]
        others = self._book.contenders(self._evaluations) if self._search is None else self._search.worth_walking()
        return [*own, *(offer for offer in others if offer not in own)]

    def promised(self, walked: Plan) -> list[Offer]:
        """The plans whose fidelity is learnt from an audit that only the user asked for.

        At most one: the plan that a promise rests on, if the generation `walked` it unaltered. So nothing more has to
        be walked. Empty for a speed: there audits decide between candidates, which takes their walks of the same seed.
        """
        if self._search is None or self._served is None or self._served.plan != walked:
            return []
        return [self._served]

    def both_ways(self, walked: Plan) -> BothWays | None:
        """The path to be walked both ways: that of the plan `walked` if it was learnt, else of the first learnt rival.

        None where no plan is learnt, where audits have told which way is better, and for a promise: it rests on plans
        as they were audited.
        """
        own = [] if self._served is None else [self._served._replace(plan=walked)]
        learnt = next((offer for offer in [*own, *self.rivals] if offer.candidate.is_learnt), None)
        if learnt is None or not self._is_smoothing_open:
            return None
        return BothWays(learnt.plan, self._book.other_way(learnt.plan, learnt.candidate))

    @property
    def _is_smoothing_open(self) -> bool:
        """Whether audits should still tell if this key's plans are better with smooth predictions."""
        return self._search is None and self._book.table.smoothing.is_open

    def learn_full(self, full: Sightings, walked: Sightings, plan: Plan) -> None:
        """Learn from the full run of a seed, `full`, that `plan` walked as well, which saw `walked`.

        Inner products of velocities, how deviations grow, and how velocities respond.
        """
        growth = measured_growth(plan, walked, full, self._book.dsigma)
        self._learn_response(plan, walked, full)
        learn_velocities(self._learning, full, known=self._book.table, mean=self._book.mean)
        for table in self._learning:
            table.growth.add(*growth)

    def charge_full(self) -> None:
        """Count the full run's evaluations as spent on audits, for the fleet wanted it, and not the user alone."""
        for table in self._learning:
            table.audit_evaluations += table.steps

    def learn_fidelity(self, offer: Offer, measured_db: float, ssim: float | None = None) -> None:
        """Learn that a plan kept `measured_db`, PSNR in dB, and `ssim` on a seed that was also run in full.

        For a promise also its path, once plans have settled: the promise stays with it.
        """
        boldness = boldness_of(self._known.steps, offer.plan.evaluations)
        has_settled = self._search is not None and self._book.table.full_runs >= SETTLED
        path = offer.plan.evaluated if has_settled else None
        for table in self._learning:
            table.audits.note(offer.candidate.name, boldness, measured_db, ssim, path)

    def learn_walk(self, offer: Offer, seen: Sightings | None, full: Sightings) -> None:
        """Learn from a plan that was walked only for the audit, and saw `seen`; None: its walk led the network astray.

        Its evaluations count as spent on audits. A learnt plan tells by how much predictions miss. Where the generation
        evaluated every step, so that it could not tell how velocities respond, such a plan tells that too.
        """
        for table in self._learning:
            table.audit_evaluations += offer.plan.evaluations
        if seen is None or not offer.candidate.is_learnt:
            return
        learn_misses(self._learning, offer.plan, seen, known=self._book.table, mean=self._book.mean)
        if self._served is None:
            self._learn_response(offer.plan, seen, full)

    def learn_smoothing(self, both_ways: BothWays, own_db: float, other_db: float) -> None:
        """Learn what smooth predictions gain, in dB, from the fidelities of both ways on one seed."""
        other_gain_db = min(other_db, IDENTICAL_DB) - min(own_db, IDENTICAL_DB)
        gain_db = -other_gain_db if self._book.table.smoothing.pays else other_gain_db  # of the smooth one
        for table in self._learning:
            table.audit_evaluations += both_ways.other.evaluations
            table.smoothing.add(gain_db)

    def _learn_response(self, plan: Plan, walked: Sightings, full: Sightings) -> None:
        response = measured_response(plan, walked, full, self._book.sigmas)
        for table in self._learning:
            table.response.add(*response)


def _is_beyond_measure(pace: Pace) -> bool:
    """Whether so high a fidelity was asked for that every step is evaluated, whatever audits tell."""
    return pace.fidelity_db is not None and pace.fidelity_db > IDENTICAL_DB
