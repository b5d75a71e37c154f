"""Which steps each candidate evaluates: the path of least error as it weighs errors, or an even spread."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.candidates import Candidate, Weighing
from fastflow_ray.bandit.growth import growth_prior
from fastflow_ray.bandit.planner import LONGEST, Planner
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.learned_plan import evenly_spread

SPARSE = 3  # beyond this speedup the second step has to earn its evaluation as any other
FEW = 3  # full runs; while fewer are known, everyone is more cautious, and heeds no misses
CAUTION_OF_FEW = 2.0  # which every candidate then adds to its own
FAR = 64  # steps skipped in a row, of which each is considered; for time and memory grow by their square

Floats = NDArray[np.float64]
Way = tuple[Weighing, float, float]  # weighing, emphasis, caution


def is_sparse(evaluations: int, steps: int) -> bool:
    """Whether less than a third of the steps is evaluated."""
    return evaluations * SPARSE < steps


class CandidatePaths:
    """Keeps its planners, for one answers nearly every budget: good for as long as `table` says the same."""

    def __init__(self, table: TrajectoryTable, mean: Floats, dsigma: Floats, restarts: Collection[int] = ()) -> None:
        """`mean`, (N, N), and `dsigma`, (N,), as for `Planner`; at the steps `restarts` another network takes over."""
        self._table, self._mean, self._dsigma, self._restarts = table, mean, dsigma, restarts
        self._planners: dict[tuple[Way, int, bool], Planner] = {}

    def evaluated(self, candidate: Candidate, evaluations: int) -> tuple[int, ...]:
        """The steps, rising from 0; raises InvalidInput for a budget that does not reach the end."""
        if candidate.emphasis is None:
            return evenly_spread(self._table.steps, evaluations, self._restarts)
        caution = candidate.caution + (CAUTION_OF_FEW if self._knows_few else 0.0)
        way = (candidate.weighing, candidate.emphasis, caution)
        stride = self._stride(evaluations)
        return tuple(stride * step for step in self._planner(way, evaluations).path(evaluations).evaluated)

    @property
    def _knows_few(self) -> bool:
        """A single run goes smoothly where others will not, and a neighbour's runs where its own do: a long skip that
        suits them is a matter of luck, and so is where one video's predictions missed."""
        return self._table.full_runs < FEW  # of what is lent there are none

    def _planner(self, way: Way, evaluations: int) -> Planner:
        """One answers every budget whose skips need not be longer than usual; each bolder one has its own."""
        total, longest, stride = self._table.steps, self._longest(evaluations), self._stride(evaluations)
        bold, sparse = longest > LONGEST, is_sparse(evaluations, total)
        key = (way, evaluations if bold else total, sparse)
        if key not in self._planners:
            weighing, emphasis, caution = way
            self._planners[key] = Planner(
                self._mean[::stride, ::stride],
                np.add.reduceat(self._dsigma, range(0, total, stride)),
                self._weight(weighing, emphasis)[[*range(0, total, stride), total]],
                longest=-(-longest // stride) if bold else LONGEST,
                caution=caution,
                most=evaluations if bold else None,
                sparse=sparse,
                restarts=self._restarts,
            )
        return self._planners[key]

    def _longest(self, evaluations: int) -> int:
        """Steps that may be skipped in a row: as many as the even spread skips, and room to do better."""
        total = self._table.steps
        return min(2 * int(np.diff([*evenly_spread(total, evaluations, self._restarts), total]).max()), total)

    def _stride(self, evaluations: int) -> int:
        """Of the steps every so many-th is considered; each, where another network takes over at one of them."""
        return 1 if self._restarts else -(-self._longest(evaluations) // FAR)

    def _weight(self, weighing: Weighing, emphasis: float) -> Floats:
        """By how much the error that a skip ending at step j leaves in x counts, (N + 1,)."""
        if weighing is Weighing.GROWTH:
            return self._table.growth.to_end**emphasis
        weight = growth_prior(self._table.steps) ** emphasis
        return weight if self._knows_few else weight * np.sqrt(self._table.misses.excess)
