"""Every plan that can be drawn up from one table, the fidelity each is expected to keep, and which one is served.

For any budget each candidate has one plan. Audits decide which is served. Where they were made at another budget, the
difference of expected errors carries over what they measured to this one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import Fidelities, boldness_of, evaluations_of, relative_db
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, believed_best, contenders
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.velocity_prior import velocity_prior
from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput
from fastflow_ray.planning.candidate_paths import CandidatePaths, is_sparse
from fastflow_ray.planning.learned_plan import draw_up, needed_steps
from fastflow_ray.planning.plan_error import expected_error
from fastflow_ray.sampling.plan import Plan

Floats = NDArray[np.float64]


class Offer(NamedTuple):
    """One candidate's plan for one budget."""

    candidate: Candidate
    plan: Plan
    relative_db: float  # expected by full runs and growth alone, up to a constant: only differences mean something


class PlanBook:
    """The plans of one table, one grid of N steps and one set of restarts.

    Keeps what it has drawn up: good for as long as `table` says the same.
    """

    def __init__(self, table: TrajectoryTable, sigmas: Floats, restarts: Collection[int] = ()) -> None:
        """`sigmas`, shape (N + 1,), falls from 1 to 0. At the steps `restarts` another network takes over."""
        self.table = table
        self.sigmas = sigmas
        self._restarts = restarts
        self._offers: dict[tuple[Candidate, int], Offer] = {}

    @property
    def knows(self) -> bool:
        """Whether any generation has been learnt from, so that plans can be drawn up."""
        return self.table.products.weight > 0

    def served(self, evaluations: int) -> Offer | None:
        """The plan that is served at this budget; None where nothing is known, or every step is evaluated."""
        if not self.knows or evaluations >= self.table.steps:
            return None
        candidate = believed_best(self.records(evaluations), sparse=is_sparse(evaluations, self.table.steps))
        return self.offer(candidate, evaluations)

    def contenders(self, evaluations: int) -> list[Offer]:
        """The plans that an audit at this budget should walk: of every candidate that could still be the best.

        Whoever has no audits at this boldness is taken for what it was at the nearest that is alike: where it could not
        be the best there, it is left out here.
        """
        sparse = is_sparse(evaluations, self.table.steps)
        here, alike = self._records_at(self._boldness_of(evaluations)), self._records_alike(evaluations)
        could_win_here, could_win_alike = (contenders(records, sparse=sparse) for records in (here, alike))
        could_win = [each for each in could_win_here if each in here or each in could_win_alike]
        return [self.offer(candidate, evaluations) for candidate in could_win]

    def fidelity_db(self, offer: Offer) -> float | None:
        """The fidelity that a generation of this plan is expected to keep on average, in dB.

        By audits of its candidate at the nearest boldness; None where there were none.
        """
        steps, boldness = self.table.steps, self._boldness_of(offer.plan.evaluations)
        nearest = self.table.audits.nearest(offer.candidate.name, boldness)
        if nearest is None:
            return None
        measured, audited_boldness = nearest
        if audited_boldness == boldness:
            return measured.mean_db
        audited_budget = min(max(evaluations_of(steps, audited_boldness), self.fewest), steps - 1)
        audited = self.offer(offer.candidate, audited_budget)
        return measured.mean_db + offer.relative_db - audited.relative_db

    def records(self, evaluations: int) -> dict[Candidate, Record]:
        """What audits measured of each candidate, all at the audited boldness that is nearest to this budget.

        Only there, for candidates can be compared where most of their audits were of the same seeds.
        """
        return self._records_at(self.table.audits.nearest_boldness(self._boldness_of(evaluations)))

    def _records_alike(self, evaluations: int) -> dict[Candidate, Record]:
        """What they measured at the nearest other boldness that is as sparse; empty where none was audited."""
        steps, own = self.table.steps, self._boldness_of(evaluations)
        sparse = is_sparse(evaluations, steps)

        def is_alike(boldness: int) -> bool:
            return boldness != own and is_sparse(evaluations_of(steps, boldness), steps) == sparse

        return self._records_at(self.table.audits.nearest_boldness(own, is_alike))

    def _records_at(self, boldness: int | None) -> dict[Candidate, Record]:
        if boldness is None:
            return {}
        audited = {candidate: self.table.audits.at(candidate.name, boldness) for candidate in CANDIDATES}
        return {candidate: Record(cell.audits, cell.mean_db) for candidate, cell in audited.items() if cell.audits}

    def audited(self, offer: Offer) -> Fidelities:
        """What audits measured of the plan's candidate, at the boldness of this very plan."""
        return self.table.audits.at(offer.candidate.name, self._boldness_of(offer.plan.evaluations))

    def _boldness_of(self, evaluations: int) -> int:
        return boldness_of(self.table.steps, evaluations)

    @cached_property
    def fewest(self) -> int:
        """The least budget, in evaluations: two steps, and two more at each restart."""
        return len({1} | needed_steps(self.table.steps, self._restarts))

    def offer(self, candidate: Candidate, evaluations: int) -> Offer:
        """The candidate's plan for this budget; raises InvalidInput if it is too small."""
        if (candidate, evaluations) not in self._offers:
            self.check(evaluations)
            path = self._paths.evaluated(candidate, evaluations)
            self._offers[candidate, evaluations] = self.along(candidate, path)
        return self._offers[candidate, evaluations]

    def admits(self, path: Sequence[int]) -> bool:
        """Whether there is a plan that evaluates just these steps."""
        return needed_steps(self.table.steps, self._restarts) <= {*path} <= {*range(self.table.steps)}

    def along(self, candidate: Candidate, path: Sequence[int]) -> Offer:
        """The candidate's plan that evaluates just these steps."""
        plan = self._plan(path, candidate)
        error = expected_error(plan, self.mean, self.table.growth.to_end, self.dsigma)
        return Offer(candidate, plan, relative_db(error))

    def other_way(self, plan: Plan, candidate: Candidate) -> Plan:
        """The plan of the same path that predicts the other way: as learnt where the key's plans predict smoothly, and
        smoothly where they do not."""
        return self._plan(plan.evaluated, candidate, self.mean if self._is_smooth else self._smoothed)

    def with_evaluation(self, plan: Plan, step: int, candidate: Candidate) -> Plan:
        """The candidate's plan that evaluates one step more, `step`."""
        return self._plan(sorted({*plan.evaluated, step}), candidate)

    def check(self, evaluations: int) -> None:
        """Raise InvalidInput for a budget that is too small."""
        if evaluations < self.fewest:
            so_few = counted(evaluations, "evaluation is", "evaluations are")
            raise InvalidInput(
                f"{so_few} too few for this model; ask for at least {self.fewest}:"
                " two steps have to be evaluated, and two wherever another network takes over"
            )

    def _plan(self, evaluated: Sequence[int], candidate: Candidate, products: Floats | None = None) -> Plan:
        """By predictions from `products`, (N, N); None: from those that audits have told to be better."""
        if products is None:
            products = self._smoothed if self._is_smooth else self.mean
        return draw_up(evaluated, candidate.integrator, products, self.sigmas, self._restarts, self._response)

    @cached_property
    def _paths(self) -> CandidatePaths:
        return CandidatePaths(self.table, self.mean, self.dsigma, self._restarts)

    @cached_property
    def _response(self) -> Floats:
        return self.table.response.share

    @property
    def _is_smooth(self) -> bool:
        """Whether the key's plans predict smoothly."""
        return self.table.smoothing.pays

    @cached_property
    def _smoothed(self) -> Floats:
        """The inner products that smooth predictions are made from, (N, N)."""
        return self.table.products.smoothed(velocity_prior(self.sigmas))

    @cached_property
    def mean(self) -> Floats:
        """C, the inner products per coordinate that the next generation's velocities are expected to have, (N, N)."""
        return self.table.products.expected(velocity_prior(self.sigmas))

    @cached_property
    def dsigma(self) -> Floats:
        """sigma_{k+1} − sigma_k, (N,), negative."""
        return np.diff(self.sigmas)
