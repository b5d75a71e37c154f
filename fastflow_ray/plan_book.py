"""Every plan that can be drawn up from one table, what each is expected to keep, and which one is served.

For any budget each candidate has one plan. The planner expects an error of it, audits have measured by how much such
expectations fall short, and the difference decides who is served and how few evaluations keep a fidelity.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import boldness, convincing, expected_db
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Record, Weighing, contenders, served
from fastflow_ray.bandit.growth import growth_prior
from fastflow_ray.bandit.planner import LONGEST, Planner
from fastflow_ray.bandit.probing import Tried, next_rung
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput
from fastflow_ray.learned_plan import draw_up, evenly_spread, every_step, expected_error, needed_steps
from fastflow_ray.sampling.plan import Plan

FRUGAL = 3  # beyond this speedup the second step has to earn its evaluation as any other

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
        self._planners: dict[tuple[Weighing, float, int, bool], Planner] = {}
        self._offers: dict[tuple[Candidate, int], Offer] = {}

    @property
    def knows(self) -> bool:
        """Whether anything has been learnt that a plan could be drawn up from."""
        return self.table.weight > 0

    def plan(self, evaluations: int) -> Plan:
        """The plan that is served at this budget; every step where nothing is known or nothing would be saved."""
        if not self.knows or evaluations >= self.table.steps:
            return every_step(self.table.steps)
        return self.offer(self.served(evaluations), evaluations).plan

    def served(self, evaluations: int) -> Candidate:
        """Whose plan that is."""
        return served(self._records(evaluations))

    def contenders(self, evaluations: int) -> list[Offer]:
        """The plans an audit at this budget should walk: of all candidates that could still be the best."""
        return [self.offer(candidate, evaluations) for candidate in contenders(self._records(evaluations))]

    def fidelity_db(self, candidate: Candidate, evaluations: int) -> float | None:
        """What a generation is expected to keep, on average; None before an audit."""
        nearest = self.table.audits.nearest(candidate.name, boldness(self.table.steps, evaluations))
        return self.offer(candidate, evaluations).expected_db - nearest[0].mean_db if nearest else None

    def assured_db(self, evaluations: int, confidence: float) -> float:
        """What the next generation keeps with that probability at least, by audits at this very boldness; −inf while
        they are too few to tell."""
        if evaluations >= self.table.steps:
            return math.inf
        candidate = self.served(evaluations)
        shortfalls = self.table.audits.at(candidate.name, boldness(self.table.steps, evaluations))
        bound_db = shortfalls.bound_db(confidence)
        return self.offer(candidate, evaluations).expected_db - bound_db if bound_db < math.inf else -math.inf

    def fewest_within(self, fidelity_db: float, confidence: float) -> int:
        """The fewest evaluations of which that fidelity has been shown to hold; all where none has."""
        boldest_first = sorted(self._ladder.values()) if self.knows else []
        holding = (budget for budget in boldest_first if self.assured_db(budget, confidence) >= fidelity_db)
        return next(holding, self.table.steps)

    def probe(self, fidelity_db: float, confidence: float) -> int:
        """The budget that is worth an audit, on the way to the fewest evaluations that keep this fidelity."""
        return self._ladder[self._search(fidelity_db, confidence)[0]] if self._ladder else self.table.steps

    def unproven(self, fidelity_db: float, confidence: float) -> int:
        """The audits that this budget lacks at least before the fidelity can be promised; 0 if it has not kept it so
        far."""
        if not self._ladder:
            return 0
        _, tried = self._search(fidelity_db, confidence)
        return max(0, convincing(confidence) - tried.audits) if tried.holds_so_far(confidence) else 0

    @cached_property
    def fewest(self) -> int:
        """The least budget: two steps, and two at each restart."""
        return len({1} | needed_steps(self.table.steps, self._restarts))

    def offer(self, candidate: Candidate, evaluations: int) -> Offer:
        """The candidate's plan; raises InvalidInput for a budget that cannot be."""
        if (candidate, evaluations) not in self._offers:
            self._offers[candidate, evaluations] = self._draw_up(candidate, evaluations)
        return self._offers[candidate, evaluations]

    def with_evaluation(self, plan: Plan, step: int, candidate: Candidate) -> Plan:
        """The same plan with one evaluation more, at `step`."""
        return self._drawn_up(sorted({*plan.evaluated, step}), candidate)

    def _draw_up(self, candidate: Candidate, evaluations: int) -> Offer:
        if evaluations < self.fewest:
            raise InvalidInput(
                f"{evaluations} evaluations are too few for this model; ask for at least {self.fewest}:"
                " two steps have to be evaluated, and two wherever another network takes over"
            )
        plan = self._drawn_up(self._evaluated(candidate, evaluations), candidate)
        return Offer(candidate, plan, expected_db(expected_error(plan, self.table, self.dsigma)))

    def _drawn_up(self, evaluated: Sequence[int], candidate: Candidate) -> Plan:
        return draw_up(evaluated, candidate.integrator, self._mean, self.sigmas, self._restarts, self._response)

    def _evaluated(self, candidate: Candidate, evaluations: int) -> tuple[int, ...]:
        if candidate.emphasis is None:
            return evenly_spread(self.table.steps, evaluations, self._restarts)
        return self._planner(candidate.weighing, candidate.emphasis, evaluations).path(evaluations).evaluated

    def _planner(self, weighing: Weighing, emphasis: float, evaluations: int) -> Planner:
        """One answers every budget whose skips need not be longer than usual; each bolder one has its own."""
        steps = [*evenly_spread(self.table.steps, evaluations, self._restarts), self.table.steps]
        longest = min(2 * int(np.diff(steps).max()), self.table.steps)  # the even spread, and room to do better
        bold, frugal = longest > LONGEST, evaluations * FRUGAL < self.table.steps
        key = (weighing, emphasis, evaluations if bold else self.table.steps, frugal)
        if key not in self._planners:
            self._planners[key] = Planner(
                self._mean,
                self.dsigma,
                self._weight(weighing, emphasis),
                longest=longest if bold else LONGEST,
                most=evaluations if bold else None,
                frugal=frugal,
                restarts=self._restarts,
            )
        return self._planners[key]

    def _weight(self, weighing: Weighing, emphasis: float) -> Floats:
        """By how much the error that a skip ending at step j leaves in x counts, (N + 1,)."""
        if weighing is Weighing.GROWTH:
            return self.table.growth.to_end**emphasis
        return growth_prior(self.table.steps) ** emphasis * np.sqrt(self.table.misses.excess)

    @cached_property
    def _ladder(self) -> dict[int, int]:
        """The least bold budget of every boldness: for it all audits there may speak."""
        steps = self.table.steps
        return {boldness(steps, budget): budget for budget in range(self.fewest, steps)}

    def _search(self, fidelity_db: float, confidence: float) -> tuple[int, Tried]:
        """The rung of the ladder that is worth an audit, and what audits said of it so far."""
        tried = {rung: self._tried(rung, budget, fidelity_db) for rung, budget in self._ladder.items()}
        rung = next_rung(sorted(tried), tried, confidence)
        return rung, tried[rung]

    def _tried(self, rung: int, budget: int, fidelity_db: float) -> Tried:
        candidate = self.served(budget)
        shortfalls = self.table.audits.at(candidate.name, rung)
        if not shortfalls.audits:
            return Tried()
        allowed_db = self.offer(candidate, budget).expected_db - fidelity_db
        failures = sum(n for db, n in shortfalls.counts.items() if db > allowed_db)
        return Tried(shortfalls.audits, failures, (allowed_db - shortfalls.mean_db) / shortfalls.spread_db)

    def _records(self, evaluations: int) -> dict[Candidate, Record]:
        """What audits measured at the nearest budget that was audited; there all contenders walked the same seeds."""
        at = self.table.audits.nearest_boldness(boldness(self.table.steps, evaluations))
        cells = {name: cell for name, bucket, cell in self.table.audits.cells() if bucket == at}
        return {
            candidate: Record(cells[candidate.name].audits, cells[candidate.name].mean_psnr_db)
            for candidate in CANDIDATES
            if candidate.name in cells
        }

    @cached_property
    def _mean(self) -> Floats:
        return self.table.mean

    @cached_property
    def _response(self) -> Floats:
        return self.table.response.share

    @cached_property
    def dsigma(self) -> Floats:
        """Shape (N,), negative."""
        return np.diff(self.sigmas)
