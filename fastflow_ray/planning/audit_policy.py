"""The decisions about the audit of one generation: whether it is made, and which plans it compares.

An audit runs the generation's seed in full too, and walks other plans on it: whatever each of them makes, beside the
full run, shows how many dB it keeps. It takes as long as several generations, and nobody has to ask for it.

- Whether: how many audits the fleet lacks for this policy key (`audit_need`) gives a probability, and a number that the
  generation's own noise draws decides (`audit_lottery`). No worker has to ask another one.
- Which plans: the one that is served, and those that could be better at the same budget. Where a fidelity was promised,
  those that its search names (`promise_search`), at other budgets too.

A `Trial` carries it out, and what it teaches are its `AuditLessons`. Knows neither pipelines nor videos.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

from fastflow_ray.bandit.audits import IDENTICAL_DB
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.pace import Pace
from fastflow_ray.planning.audit_lessons import AuditLessons, BothWays
from fastflow_ray.planning.audit_lottery import MOST_AT_ONCE, chance, lot
from fastflow_ray.planning.audit_need import FULL_RUNS_TO_COMPARE, Need, audit_need
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_search import PromiseSearch
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings


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
        fleet_share: float = 1.0,
    ) -> None:
        """Reckon how many audits the fleet lacks: none where no audit could change the plan.

        Args:
            known: what the fleet knows of the key itself.
            learning: the tables that learn from the audit.
            book: what the generation's plan comes from, which may be a neighbouring key's knowledge.
            pace: what was asked of the generation.
            evaluations: how many steps its plan evaluates.
            served: its plan; None where that was given, or evaluates every step.
            fleet_share: this worker's part of the fleet's work, 0 to 1; it makes as large a part of the audits.
        """
        self._book, self._evaluations, self._served = book, evaluations, served
        self._fleet_share = fleet_share
        promise = Promise.asked_for(pace, book)
        self._search = None if promise is None else PromiseSearch(promise)
        is_moot = _is_plan_fixed(pace, known.steps) or not book.knows
        self._need = Need(0.0) if is_moot else audit_need(known, self._search, served)
        self.lessons = AuditLessons(learning, book, is_of_promise=promise is not None, skips=served is not None)

    def is_due(self, seen: Sightings) -> bool:
        """Whether this generation is audited: the fleet lacks audits, and the lot of its noise is below the chance."""
        if self._need.audits < 1:
            return False
        drawn = lot(seen.noise)
        if drawn >= self._chance(jobs_long=1):  # the longer an audit, the less its chance: no other plan is drawn up
            return False
        return drawn < self._chance(self._evaluations_of_audit / self._evaluations)

    def _chance(self, jobs_long: float) -> float:
        """The probability that this generation is audited, if an audit takes as much work as `jobs_long` jobs."""
        most_at_once = MOST_AT_ONCE if self._served else math.inf  # a full run is made anyway: all may audit at a time
        return min(chance(self._need.audits, self._fleet_share, jobs_long, most_at_once), self._need.share_of_jobs)

    @property
    def _evaluations_of_audit(self) -> int:
        """Of the full run, of the plans compared, and of the path walked the other way while it is open which is
        better."""
        compared = sum(offer.plan.evaluations for offer in self.compared)
        return self._book.table.steps + compared + self._evaluations * self._is_smoothing_open

    @cached_property
    def compared(self) -> list[Offer]:
        """The plans whose fidelity is measured by an audit that the fleet lacks.

        First the plan that is served, as it was drawn up: the generation may have altered it on the way, and a promise
        has to be watched. Then its rivals, which could be the best at this budget; for a promise, those that its search
        names.

        Empty while few full runs are known: learnt plans would be judged by what they were drawn up from then, and
        plans that learn nothing would win.
        """
        if self._book.table.full_runs < FULL_RUNS_TO_COMPARE:
            return []
        own = [] if self._served is None else [self._served]
        others = self._book.contenders(self._evaluations) if self._search is None else self._search.worth_walking()
        return [*own, *(offer for offer in others if offer not in own)]

    def compared_on_demand(self, walked: Plan) -> list[Offer]:
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
        learnt = next((offer for offer in [*own, *self.compared] if offer.candidate.is_learnt), None)
        if learnt is None or not self._is_smoothing_open:
            return None
        return BothWays(learnt.plan, self._book.other_way(learnt.plan, learnt.candidate))

    @property
    def _is_smoothing_open(self) -> bool:
        """Whether audits should still tell if this key's plans are better with smooth predictions."""
        return self._search is None and self._book.table.smoothing.is_open


def _is_plan_fixed(pace: Pace, steps: int) -> bool:
    """Whether the plan is the same whatever audits tell: it was given, or has to evaluate every step."""
    is_beyond_measure = pace.fidelity_db is not None and pace.fidelity_db > IDENTICAL_DB
    return pace.plan is not None or pace.wants_every(steps) or is_beyond_measure
