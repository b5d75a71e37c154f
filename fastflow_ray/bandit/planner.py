"""Which steps to evaluate so that the least error reaches the end: a shortest path over pairs of evaluations.

The velocities of a trajectory are a process with known inner products, C[i, j] = mean of <v_i, v_j> / dim. Linear
prediction (kriging) of the skipped ones then has an expected error that can be computed before anything is run, and
the path of least total error is found by dynamic programming. Knows inner products, and no velocity.
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
    """The steps that are evaluated, and the price of skipping the others."""

    evaluated: tuple[int, ...]  # rising from 0
    expected_error: float  # squared, per coordinate, of each skip as `weight` and `caution` weigh it, summed


class Planner:
    """The paths of least expected error over one grid; one dynamic programme answers every budget and every target.

    A path is a chain of skips. What each costs, `SkipCosts` tells; costs add up along the path, for errors of different
    skips are taken as uncorrelated.

    Args:
        mean, dsigma, weight, reintegrate, longest, caution, restarts: as for `SkipCosts`, which raises InvalidInput.
        most: evaluations that will be asked for; fewer are planned sooner. None: all steps.
        sparse: whether so little is evaluated that step 1 may be skipped as well, by the first velocity alone.
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
        return int(np.flatnonzero(np.isfinite(self._plans.error))[0])

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
        affordable = self._plans.error[: evaluations + 1]
        return self._trace(int(np.flatnonzero(affordable == affordable.min())[-1]))

    def path_within(self, expected_error: float) -> Path:
        """The path of fewest evaluations whose expected error is no larger; raises InvalidInput below 0."""
        if not expected_error >= 0:
            raise InvalidInput(f"no path has an expected error of {expected_error}; ask for 0 or more")
        return self._trace(int(np.flatnonzero(self._plans.error <= expected_error)[0]))

    def _trace(self, evaluations: int) -> Path:
        """The path of exactly that many evaluations, read backwards from the end."""
        step, gap = self.steps, int(self._plans.last_gap[evaluations])
        evaluated = []
        for gap_before in self._plans.gap_before[evaluations:1:-1]:
            step -= gap + 1
            evaluated.append(step)
            gap = int(gap_before[step, gap])
        return Path((0, *reversed(evaluated)), float(self._plans.error[evaluations]))

    @cached_property
    def _plans(self) -> _Plans:
        """The dynamic programme: round n extends every path of n evaluations by a skip, to an evaluation or the end."""
        gaps, cost = np.arange(self._costs.longest + 1), self._costs.of_later
        step, gap = np.nonzero(np.add.outer(np.arange(self.steps), gaps) < self.steps)
        plans = _Plans.empty(self.steps, self._costs.longest)
        least = self._after_first()
        for n in range(2, self._most + 1):
            through = least[:-1, None, :] + cost
            plans.gap_before[n] = through.argmin(axis=2)
            least = np.full_like(least, np.inf)
            least[step + 1 + gap, gap] = through.min(axis=2)[step, gap]
            plans.last_gap[n] = least[-1].argmin()
            plans.error[n] = least[-1].min()
        return plans

    def _after_first(self) -> Floats:
        """Least error of the paths that evaluated 0 and will evaluate i next, a steps skipped between them, [i, a]."""
        steps, longest = self.steps, self._costs.longest
        least = np.full((steps + 1, longest + 1), np.inf)
        skipped = np.arange(min(longest, steps - 2) + 1) if self._sparse else np.zeros(1, np.intp)
        least[1 + skipped, skipped] = self._costs.of_first[skipped]
        return least


@dataclass(frozen=True, eq=False)
class _Plans:
    """What the dynamic programme leaves behind, by number of evaluations."""

    error: Floats  # (N + 1,): of the best path; inf where none reaches the end
    last_gap: Steps  # (N + 1,): steps it skips before the end
    gap_before: Steps  # [n, i, b]: steps best skipped before i, the n-th evaluation, when b are skipped after it

    @classmethod
    def empty(cls, steps: int, longest: int) -> _Plans:
        """Before any round."""
        last_gap = np.zeros(steps + 1, np.intp)
        return cls(np.full(steps + 1, np.inf), last_gap, np.zeros((steps + 1, steps, longest + 1), np.intp))
