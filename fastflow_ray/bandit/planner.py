"""Which steps to evaluate so that the least error reaches the end of a trajectory.

What is known of the velocities is C[i, j], the mean of <v_i, v_j> / dim. From C alone the expected error of
predicting a skipped velocity by kriging follows, before anything is run. So dynamic programming finds the path of least
total error. A skip is predicted from two evaluations: the programme's state is the last one and the distance to the one
before it. Knows inner products, and no velocity.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastflow_ray.bandit.skip_costs import Floats, SkipCosts, Steps
from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput

LONGEST = 12  # steps skipped in a row


@dataclass(frozen=True)
class Path:
    """The steps that are evaluated, and the error that skipping the others is expected to leave."""

    evaluated: tuple[int, ...]  # rising from 0
    expected_error: float  # squared, per coordinate: the costs of its skips as `SkipCosts` has them, summed


class Planner:
    """The paths of least expected error over one grid of N steps, for every budget and every target error.

    A path is a chain of skips, which `SkipCosts` prices. Their costs add up, for errors of different skips are taken as
    uncorrelated.

    Args:
        mean, dsigma, weight, reintegrate, longest, caution, restarts: as for `SkipCosts`, which raises InvalidInput.
        most: the largest budget that will be asked for, in evaluations; the smaller, the less to compute. None: N.
        sparse: whether step 1 may be skipped, predicted from the velocity at 0 alone; else it is always evaluated.
    """

    def __init__(
        self,
        mean: Floats,
        dsigma: Floats,
        weight: Floats,
        *,
        reintegrate: bool = True,
        longest: int = LONGEST,
        caution: float = 0.0,
        most: int | None = None,
        sparse: bool = False,
        restarts: Collection[int] = (),
    ) -> None:
        self._costs = SkipCosts(
            mean, dsigma, weight, reintegrate=reintegrate, longest=longest, caution=caution, restarts=restarts
        )
        self.steps = self._costs.steps
        self._most = self.steps if most is None else most
        self._sparse = sparse

    @property
    def fewest(self) -> int:
        """The least number of evaluations that reaches the end."""
        return int(np.flatnonzero(np.isfinite(self._best_paths.error))[0])

    def path(self, evaluations: int) -> Path:
        """The path of least expected error with at most `evaluations`; of equal ones, the one that evaluates most.

        Raises InvalidInput when so few cannot reach the end.
        """
        if evaluations < self.fewest:
            so_few = counted(evaluations, "evaluation does", "evaluations do")
            raise InvalidInput(
                f"{so_few} not reach the end of {self.steps} steps with at most"
                f" {self._costs.longest} skipped in a row; ask for at least {self.fewest}"
            )
        affordable = self._best_paths.error[: evaluations + 1]
        return self._read_back(int(np.flatnonzero(affordable == affordable.min())[-1]))

    def path_within(self, expected_error: float) -> Path:
        """The path of fewest evaluations with at most this expected error; raises InvalidInput for one below 0."""
        if not expected_error >= 0:
            raise InvalidInput(f"no path has an expected error of {expected_error}; ask for 0 or more")
        return self._read_back(int(np.flatnonzero(self._best_paths.error <= expected_error)[0]))

    def _read_back(self, evaluations: int) -> Path:
        """The best path of exactly so many evaluations, read from the end to the beginning."""
        step, skipped = self.steps, int(self._best_paths.skipped_last[evaluations])
        evaluated = []
        for skipped_before in self._best_paths.skipped_before[evaluations:1:-1]:
            step -= skipped + 1
            evaluated.append(step)
            skipped = int(skipped_before[step, skipped])
        return Path((0, *reversed(evaluated)), float(self._best_paths.error[evaluations]))

    @cached_property
    def _best_paths(self) -> _BestPaths:
        """The dynamic programme. Round n extends every path of n evaluations by a skip: to one evaluation more, or to
        the end, which is index N."""
        lengths, cost = np.arange(self._costs.longest + 1), self._costs.of_later
        i, b = np.nonzero(np.add.outer(np.arange(self.steps), lengths) < self.steps)  # skips that end on the grid
        best = _BestPaths.empty(self.steps, self._costs.longest)
        least = self._after_first()  # [i, a], as there, but i is the n-th evaluation
        for n in range(2, self._most + 1):
            extended = least[:-1, None, :] + cost  # [i, b, a]
            best.skipped_before[n] = extended.argmin(axis=2)
            least = np.full_like(least, np.inf)
            least[i + 1 + b, b] = extended.min(axis=2)[i, b]
            best.skipped_last[n] = least[-1].argmin()
            best.error[n] = least[-1].min()
        return best

    def _after_first(self) -> Floats:
        """Least error of a path that evaluates 0, skips a steps and evaluates i next, [i, a]; (N + 1, longest + 1)."""
        steps, longest = self.steps, self._costs.longest
        least = np.full((steps + 1, longest + 1), np.inf)
        a = np.arange(min(longest, steps - 2) + 1) if self._sparse else np.zeros(1, np.intp)
        least[1 + a, a] = self._costs.of_first[a]
        return least


@dataclass(frozen=True, eq=False)
class _BestPaths:
    """The best path of every number of evaluations n, in a form to be read back from its end."""

    error: Floats  # [n], (N + 1,): its expected error; inf where no path of n evaluations reaches the end
    skipped_last: Steps  # [n], (N + 1,): steps it skips before the end
    skipped_before: Steps  # [n, i, b]: steps best skipped before i, the n-th evaluation, if b are skipped after it

    @classmethod
    def empty(cls, steps: int, longest: int) -> _BestPaths:
        """Before any round."""
        skipped_last = np.zeros(steps + 1, np.intp)
        return cls(np.full(steps + 1, np.inf), skipped_last, np.zeros((steps + 1, steps, longest + 1), np.intp))
