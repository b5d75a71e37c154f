"""What the audit of one generation teaches: the fidelity that each plan kept and, by what was seen on the way, inner
products, growth, response, misses, and whether smooth predictions pay.

All of it goes into every table that learns, with the evaluations that it took. Knows neither which audits are made, nor
which plans they walk: that is the `AuditPolicy`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastflow_ray.bandit.audits import IDENTICAL_DB, boldness_of
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.audit_measures import measured_growth, measured_response
from fastflow_ray.planning.learning import SETTLED, learn_misses, learn_velocities
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings


class BothWays(NamedTuple):
    """Two plans of one path: one predicts smoothly, the other as learnt."""

    own: Plan  # the way in which the key's plans predict now
    other: Plan


class AuditLessons:
    """The lessons of one generation's audit."""

    def __init__(
        self, learning: Iterable[TrajectoryTable], book: PlanBook, *, is_of_promise: bool, skips: bool
    ) -> None:
        """`learning` are the tables that learn, and `book` is what the generation's plan comes from. `is_of_promise`
        tells whether it asked for a fidelity, and `skips` whether its own plan does."""
        self._learning, self._book = tuple(learning), book
        self._is_of_promise, self._skips = is_of_promise, skips

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
        boldness = boldness_of(self._book.table.steps, offer.plan.evaluations)
        has_settled = self._is_of_promise and self._book.table.full_runs >= SETTLED
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
        if not self._skips:
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
