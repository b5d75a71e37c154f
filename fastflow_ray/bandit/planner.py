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
    """The paths of least expected error over one grid of N steps, for every budget.

    A path is a chain of skips, which `SkipCosts` prices. Their costs add up, for errors of different skips are taken as
    uncorrelated.

    Args:
        mean, dsigma, weight, reintegrate, longest, caution, restarts: as for `SkipCosts`, which raises InvalidInput.
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
        sparse: bool = False,
        restarts: Collection[int] = (),
    ) -> None:
        self._costs = SkipCosts(
            mean, dsigma, weight, reintegrate=reintegrate, longest=longest, caution=caution, restarts=restarts
        )
        self.steps = self._costs.steps
        self._sparse = sparse
        self._rounds: list[_Round] = []  # as far as they were asked for

    @property
    def fewest(self) -> int:
        """The least number of evaluations that reaches the end."""
        return next(n for n in range(2, self.steps + 1) if np.isfinite(self._round(n).error))

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
        affordable = range(min(evaluations, self.steps), 1, -1)
        return self._read_back(min(affordable, key=lambda n: self._round(n).error))

    def _read_back(self, evaluations: int) -> Path:
        """The best path of exactly so many evaluations, read from the end to the beginning."""
        last = self._round(evaluations)
        step, skipped = self.steps, last.skipped_last
        evaluated = []
        for n in range(evaluations, 1, -1):
            step -= skipped + 1
            evaluated.append(step)
            skipped = int(self._round(n).skipped_before[step, skipped])
        return Path((0, *reversed(evaluated)), last.error)

    def _round(self, evaluations: int) -> _Round:
        """The dynamic programme's round of so many evaluations, from 1."""
        if not self._rounds:
            self._rounds.append(self._first_round())
        while len(self._rounds) < evaluations:
            self._rounds.append(self._extended(self._rounds[-1]))
        return self._rounds[evaluations - 1]

    def _first_round(self) -> _Round:
        """The paths that evaluate 0, skip b steps and evaluate i next."""
        steps, longest = self.steps, self._costs.longest
        least = np.full((steps + 1, longest + 1), np.inf)
        b = np.arange(min(longest, steps - 2) + 1) if self._sparse else np.zeros(1, np.intp)
        least[1 + b, b] = self._costs.of_first[b]
        return _Round(least, np.zeros((steps, longest + 1), np.intp))

    def _extended(self, before: _Round) -> _Round:
        """Every path of one evaluation fewer, extended by a skip: to one evaluation more, or to the end."""
        extended = before.least[:-1, None, :] + self._costs.of_later  # [i, b, a]
        least = np.full_like(before.least, np.inf)
        i, b = self._on_grid
        least[i + 1 + b, b] = extended.min(axis=2)[i, b]
        return _Round(least, extended.argmin(axis=2))

    @cached_property
    def _on_grid(self) -> tuple[Steps, Steps]:
        """Every i and b for which b steps can be skipped after step i."""
        lengths = np.arange(self._costs.longest + 1)
        i, b = np.nonzero(np.add.outer(np.arange(self.steps), lengths) < self.steps)
        return i, b


@dataclass(frozen=True, eq=False)
class _Round:
    """The best paths of n evaluations, in a form to be extended, and to be read back from its end."""

    least: Floats  # [i, b], (N + 1, longest + 1): error of the best that skips b steps and evaluates i next; N: the end
    skipped_before: Steps  # [i, b], (N, longest + 1): steps best skipped before i, the n-th, if b are skipped after it

    @cached_property
    def error(self) -> float:
        """Least error of a path that reaches the end; inf where none does."""
        return float(self.least[-1].min())

    @property
    def skipped_last(self) -> int:
        """Steps that the best of them skips before the end."""
        return int(self.least[-1].argmin())
