"""The path of each candidate for any budget: the one of least error, as the candidate weighs errors, or an even spread.

Chooses evaluated steps; how the skipped ones are predicted is the plan's matter.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.candidates import Candidate, Weighing
from fastflow_ray.bandit.growth import growth_prior
from fastflow_ray.bandit.planner import LONGEST, Planner
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.learned_plan import evenly_spread

SPARSE = 3  # steps / evaluations; beyond it step 1 is evaluated only where that pays, as any other step
FEW = 3  # full runs; while fewer are known, every candidate is more cautious and ignores misses
CAUTION_OF_FEW = 2.0  # added to each candidate's own caution then
FAR = 64  # the longest skip for which every step is considered: time and memory grow by the square of its length

Floats = NDArray[np.float64]
Way = tuple[Weighing, float, float]  # weighing, emphasis, caution


def is_sparse(evaluations: int, steps: int) -> bool:
    """Whether less than a third of the steps is evaluated: then step 1 may be skipped."""
    return evaluations * SPARSE < steps


class CandidatePaths:
    """Keeps its planners, as one of them answers many budgets: good for as long as `table` says the same."""

    def __init__(self, table: TrajectoryTable, mean: Floats, dsigma: Floats, restarts: Collection[int] = ()) -> None:
        """`mean`, (N, N), `dsigma`, (N,), and `restarts`, steps, as for `Planner`."""
        self._table, self._mean, self._dsigma, self._restarts = table, mean, dsigma, restarts
        self._planners: dict[tuple[Way, int, bool], Planner] = {}

    def evaluated(self, candidate: Candidate, evaluations: int) -> tuple[int, ...]:
        """The steps that the candidate evaluates, rising from 0, `evaluations` of them at most.

        Raises InvalidInput for a budget that does not reach the end.
        """
        if candidate.emphasis is None:
            return evenly_spread(self._table.steps, evaluations, self._restarts)
        caution = candidate.caution + (CAUTION_OF_FEW if self._knows_few else 0.0)
        way = (candidate.weighing, candidate.emphasis, caution)
        stride = self._stride(evaluations)
        return tuple(stride * step for step in self._planner(way, evaluations).path(evaluations).evaluated)

    @property
    def _knows_few(self) -> bool:
        """Whether so few full runs are known that a long skip which suits them, or a miss, may be a matter of luck.

        One run may go smoothly where others do not, and so may the runs that a neighbouring key lends. These count as
        none: a lent table has no full runs.
        """
        return self._table.full_runs < FEW

    def _planner(self, way: Way, evaluations: int) -> Planner:
        """The planner for this budget and this way of weighing errors.

        One planner answers every budget whose skips may be `LONGEST` at most, and another one the sparse ones of them.
        Where skips may be longer, each budget has a planner of its own.
        """
        total, longest, stride = self._table.steps, self._longest(evaluations), self._stride(evaluations)
        allows_longer, sparse = longest > LONGEST, is_sparse(evaluations, total)
        key = (way, evaluations if allows_longer else total, sparse)
        if key not in self._planners:
            weighing, emphasis, caution = way
            starts = range(0, total, stride)  # of the planner's steps
            self._planners[key] = Planner(
                self._mean[::stride, ::stride],
                np.add.reduceat(self._dsigma, starts),
                self._weight(weighing, emphasis)[[*starts, total]],
                longest=-(-longest // stride) if allows_longer else LONGEST,
                caution=caution,
                sparse=sparse,
                restarts=self._restarts,
            )
        return self._planners[key]

    def _longest(self, evaluations: int) -> int:
        """How many steps may be skipped in a row: twice the longest stretch of the even spread, to leave a choice."""
        total = self._table.steps
        return min(2 * int(np.diff([*evenly_spread(total, evaluations, self._restarts), total]).max()), total)

    def _stride(self, evaluations: int) -> int:
        """The distance of the steps that may be evaluated, in steps: 1, but more where skips may be longer than `FAR`.

        Always 1 where there are restarts, for these very steps have to be evaluated.
        """
        return 1 if self._restarts else -(-self._longest(evaluations) // FAR)

    def _weight(self, weighing: Weighing, emphasis: float) -> Floats:
        """W_j, how much an error in x counts that a skip ending at step j leaves, (N + 1,)."""
        if weighing is Weighing.GROWTH:
            return self._table.growth.to_end**emphasis
        weight = growth_prior(self._table.steps) ** emphasis
        if self._knows_few:
            return weight
        return weight * np.sqrt(self._table.misses.excess)  # the root, for `excess` is a factor of squared errors
