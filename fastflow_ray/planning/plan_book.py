"""Every plan that can be drawn up from one table, what each is expected to keep, and which one is served.

For any budget each candidate has one plan. What audits measured decides who is served; where they were made at another
budget, how much more or less the planner expects tells what a plan keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import Fidelities, boldness, evaluations_of, expected_db
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, contenders, served
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
    expected_db: float  # from full runs and growth alone, up to a constant


class PlanBook:
    """Keeps what it has drawn up: good for as long as `table` says the same. One grid, one set of restarts."""

    def __init__(self, table: TrajectoryTable, sigmas: Floats, restarts: Collection[int] = ()) -> None:
        """`sigmas`, shape (N + 1,), falls from 1 to 0; at the steps `restarts` another network takes over."""
        self.table = table
        self.sigmas = sigmas
        self._restarts = restarts
        self._offers: dict[tuple[Candidate, int], Offer] = {}

    @property
    def knows(self) -> bool:
        """Whether anything has been learnt that a plan could be drawn up from."""
        return self.table.products.weight > 0

    def served(self, evaluations: int) -> Offer | None:
        """The plan that is served at this budget; None where nothing is known or nothing would be saved."""
        if not self.knows or evaluations >= self.table.steps:
            return None
        candidate = served(self.records(evaluations), sparse=is_sparse(evaluations, self.table.steps))
        return self.offer(candidate, evaluations)

    def contenders(self, evaluations: int) -> list[Offer]:
        """The plans an audit at this budget should walk: of all candidates that could still be the best."""
        could_win = contenders(self.records(evaluations), sparse=is_sparse(evaluations, self.table.steps))
        return [self.offer(candidate, evaluations) for candidate in could_win]

    def fidelity_db(self, offer: Offer) -> float | None:
        """What a generation is expected to keep, on average; None before an audit."""
        steps, budget = self.table.steps, offer.plan.evaluations
        nearest = self.table.audits.nearest(offer.candidate.name, boldness(steps, budget))
        if nearest is None:
            return None
        measured, bucket = nearest
        if bucket == boldness(steps, budget):
            return measured.mean_db
        there = self.offer(offer.candidate, min(max(evaluations_of(steps, bucket), self.fewest), steps - 1))
        return measured.mean_db + offer.expected_db - there.expected_db

    def records(self, evaluations: int) -> dict[Candidate, Record]:
        """What audits measured at the nearest budget that was audited, mostly of the same seeds."""
        at = self.table.audits.nearest_boldness(boldness(self.table.steps, evaluations))
        cells = {name: cell for name, bucket, cell in self.table.audits.cells() if bucket == at}
        return {
            candidate: Record(cells[candidate.name].audits, cells[candidate.name].mean_db)
            for candidate in CANDIDATES
            if candidate.name in cells
        }

    def audited(self, offer: Offer) -> Fidelities:
        """What audits of its candidate measured at this very boldness."""
        return self.table.audits.at(offer.candidate.name, boldness(self.table.steps, offer.plan.evaluations))

    @cached_property
    def fewest(self) -> int:
        """The least budget: two steps, and two at each restart."""
        return len({1} | needed_steps(self.table.steps, self._restarts))

    def offer(self, candidate: Candidate, evaluations: int) -> Offer:
        """The candidate's plan; raises InvalidInput for a budget that cannot be."""
        if (candidate, evaluations) not in self._offers:
            self._offers[candidate, evaluations] = self._draw_up(candidate, evaluations)
        return self._offers[candidate, evaluations]

    def admits(self, path: Sequence[int]) -> bool:
        """Whether a plan may evaluate just these steps."""
        return needed_steps(self.table.steps, self._restarts) <= {*path} <= {*range(self.table.steps)}

    def along(self, candidate: Candidate, path: Sequence[int]) -> Offer:
        """The candidate's plan that evaluates these very steps."""
        plan = self._drawn_up(path, candidate)
        return Offer(
            candidate, plan, expected_db(expected_error(plan, self.mean, self.table.growth.to_end, self.dsigma))
        )

    def other_way(self, plan: Plan, candidate: Candidate) -> Plan:
        """The same steps by predictions that are smooth where the plan's are not, and the other way round."""
        return self._drawn_up(plan.evaluated, candidate, self.mean if self._is_smooth else self._smoothed)

    def with_evaluation(self, plan: Plan, step: int, candidate: Candidate) -> Plan:
        """The same plan with one evaluation more, at `step`."""
        return self._drawn_up(sorted({*plan.evaluated, step}), candidate)

    def check(self, evaluations: int) -> None:
        """Raise InvalidInput for a budget that cannot be."""
        if evaluations < self.fewest:
            so_few = counted(evaluations, "evaluation is", "evaluations are")
            raise InvalidInput(
                f"{so_few} too few for this model; ask for at least {self.fewest}:"
                " two steps have to be evaluated, and two wherever another network takes over"
            )

    def _draw_up(self, candidate: Candidate, evaluations: int) -> Offer:
        self.check(evaluations)
        return self.along(candidate, self._paths.evaluated(candidate, evaluations))

    def _drawn_up(self, evaluated: Sequence[int], candidate: Candidate, products: Floats | None = None) -> Plan:
        """By predictions from these inner products, or as they are best."""
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
        return self.table.smoothing.pays

    @cached_property
    def _smoothed(self) -> Floats:
        """C as smooth predictions are made from it, (N, N)."""
        return self.table.products.smoothed(velocity_prior(self.sigmas))

    @cached_property
    def mean(self) -> Floats:
        """C, the inner products of velocities that the next generation is expected to have, (N, N)."""
        return self.table.products.expected(velocity_prior(self.sigmas))

    @cached_property
    def dsigma(self) -> Floats:
        """Shape (N,), negative."""
        return np.diff(self.sigmas)
