"""Which steps to evaluate so that the least error reaches the end: a shortest path over pairs of evaluations.

The velocities of a trajectory are a process with known inner products, C[i, j] = mean of <v_i, v_j> / dim. Linear
prediction (kriging) of the skipped ones then has an expected error that can be computed before anything is run, and
the path of least total error is found by dynamic programming. Knows inner products, and no velocity.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastflow_ray.errors import InvalidInput

LONGEST = 12  # steps skipped in a row
RIDGE = 1e-7  # of the mean diagonal over the history

Floats = NDArray[np.float64]
Steps = NDArray[np.intp]


@dataclass(frozen=True)
class Path:
    """The steps that are evaluated, and the price of skipping the others."""

    evaluated: tuple[int, ...]  # rising from 0
    expected_error: float  # mean squared error of the final x per coordinate


def kriging_weights(mean: Floats, history: Sequence[int], step: int | Sequence[int]) -> Floats:
    """The best linear weights w = C_HH⁻¹·C_Hk for predicting v_k from the velocities of `history`.

    Args:
        mean: C, inner products of velocities per coordinate, shape (N, N).
        history: H, the evaluated steps to predict from.
        step: k; or several steps at once.

    Returns:
        Shape (len(history),); for several steps (len(history), steps).
    """
    known = np.asarray(history)
    return np.linalg.solve(_ridged(mean[np.ix_(known, known)]), mean[known][:, step])


class Planner:
    """The paths of least expected error over one grid; one dynamic programme answers every budget and every target.

    A path is a chain of skips, each predicted from the two evaluations before it and, re-integrated, the one that ends
    it at step j. With R the covariance of the residuals of its skipped steps, it costs G_j²·dsigmaᵀ·R·dsigma. Costs
    add up along the path: errors of different skips are taken as uncorrelated.

    Args:
        mean: C, inner products of velocities per coordinate, shape (N, N), symmetric.
        dsigma: sigma_{k+1} − sigma_k, shape (N,).
        growth: the factor by which a deviation present in x at step j arrives at the end, shape (N + 1,).
        reintegrate: whether skipped steps are integrated again once the evaluation that ends the skip is known.
        longest: steps that may be skipped in a row.
        most: evaluations that will be asked for; fewer are planned sooner. None: all steps.
        frugal: whether step 1 may be skipped as well, predicted from the first velocity alone.
        restarts: steps at which another network takes over; they and their successors are evaluated, and no
            prediction uses velocities from both sides.

    Raises:
        InvalidInput: for arrays of the wrong shape or with values that are not finite, and for a restart off the grid.
    """

    def __init__(
        self,
        mean: Floats,
        dsigma: Floats,
        growth: Floats,
        *,
        reintegrate: bool = True,
        longest: int = LONGEST,
        most: int | None = None,
        frugal: bool = False,
        restarts: Collection[int] = (),
    ) -> None:
        _check(mean, dsigma, growth, longest, restarts)
        self.steps = len(mean)
        self._mean, self._dsigma, self._growth = mean, dsigma, growth
        self._reintegrate, self._longest = reintegrate, longest
        self._most = self.steps if most is None else most
        self._frugal = frugal
        self._restart = np.isin(np.arange(self.steps), list(restarts))

    @property
    def fewest(self) -> int:
        """The least number of evaluations that reaches the end."""
        return int(np.flatnonzero(np.isfinite(self._plans.error))[0])

    def path(self, evaluations: int) -> Path:
        """The path of least expected error with at most `evaluations`; of equal ones, the one that evaluates most.

        Raises InvalidInput when so few cannot reach the end.
        """
        if evaluations < self.fewest:
            raise InvalidInput(
                f"{evaluations} evaluations do not reach the end of {self.steps} steps with at most {self._longest}"
                f" skipped in a row; ask for at least {self.fewest}"
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
        cost = self._skip_cost
        step, gap = np.nonzero(np.add.outer(np.arange(self.steps), np.arange(self._longest + 1)) < self.steps)
        plans = _Plans.empty(self.steps, self._longest)
        least = self._first_skip_cost
        for n in range(2, self._most + 1):
            through = least[:-1, None, :] + cost
            plans.gap_before[n] = through.argmin(axis=2)
            least = np.full_like(least, np.inf)
            least[step + 1 + gap, gap] = through.min(axis=2)[step, gap]
            plans.last_gap[n] = least[-1].argmin()
            plans.error[n] = least[-1].min()
        return plans

    @cached_property
    def _first_skip_cost(self) -> Floats:
        """Squared error that arrives at the end when 0 and then i are evaluated, a = i − 1 steps skipped between them,
        [i, a]; inf where that is not allowed."""
        cost = np.full((self.steps + 1, self._longest + 1), np.inf)
        cost[1, 0] = 0.0
        if self._frugal:
            gaps = np.arange(1, min(self._longest, self.steps - 2) + 1)
            b = gaps[self._skippable(np.zeros_like(gaps), gaps)]
            cost[1 + b, b] = self._growth[1 + b] ** 2 * self._skip_error(np.zeros_like(b), b)
        return cost

    @cached_property
    def _skip_cost(self) -> Floats:
        """Squared error that arrives at the end when i − 1 − a and i are evaluated and b steps skipped, [i, b, a];
        inf where that is not allowed."""
        gaps = np.arange(self._longest + 1)
        i, b, a = (axis.ravel() for axis in np.meshgrid(np.arange(self.steps), gaps, gaps, indexing="ij"))
        allowed = (i - 1 - a >= 0) & self._skippable(i, b)
        i, b, a = i[allowed], b[allowed], a[allowed]
        cost = np.full((self.steps, len(gaps), len(gaps)), np.inf)
        cost[i, b, a] = self._growth[i + 1 + b] ** 2 * self._skip_error(i, b, i - 1 - a)
        return cost

    def _skippable(self, i: Steps, b: Steps) -> NDArray[np.bool_]:
        """Whether there are b steps after i, and none of them has to be evaluated.

        With a restart and its successor evaluated, no later skip can have a history from before the restart.
        """
        needed = self._restart.copy()
        needed[1:] |= self._restart[:-1]
        needed_before = np.concatenate([[0], np.cumsum(needed)])
        end = i + 1 + b
        skippable: NDArray[np.bool_] = needed_before[np.minimum(end, self.steps)] == needed_before[i + 1]
        return skippable & (end <= self.steps)

    def _skip_error(self, i: Steps, b: Steps, *previous: Steps) -> Floats:
        """Expected squared error that skipping b steps after i leaves in x there, per coordinate."""
        error, end = np.zeros(len(i)), np.minimum(i + 1 + b, self.steps - 1)
        known_end = (i + 1 + b < self.steps) & ~self._restart[end] & self._reintegrate
        between, beyond = (b > 0) & known_end, (b > 0) & ~known_end
        error[between] = self._prediction_error(np.stack([*previous, i, end], 1)[between], i[between], b[between])
        error[beyond] = self._prediction_error(np.stack([*previous, i], 1)[beyond], i[beyond], b[beyond])
        return error

    def _prediction_error(self, history: Steps, i: Steps, b: Steps) -> Floats:
        """Expected squared error of the displacement u over a skip when it is predicted from `history`, (skips, H).

        Kriging is linear, so predicting each velocity and adding up is to predict u: with s = C_HH⁻¹·<v_H, u> it is
        <u, u> − 2·s·<v_H, u> + s·C_HH·s.
        """
        among = self._mean[history[:, :, None], history[:, None, :]]  # (skips, H, H)
        along = self._displacement[history, i[:, None], b[:, None]]  # (skips, H)
        weights = np.linalg.solve(_ridged(among), along[:, :, None])[:, :, 0]
        explained = 2 * (weights * along).sum(1) - np.einsum("mh,mhk,mk->m", weights, among, weights)
        error: Floats = np.maximum(self._displacement_norm[i, b] - explained, 0.0)
        return error

    @cached_property
    def _displacement(self) -> Floats:
        """<v_h, u> / dim with u = Σ dsigma_k·v_k over the b steps after i, [h, i, b]."""
        steps, longest = self.steps, self._longest
        ahead = np.pad(self._mean * self._dsigma, ((0, 0), (0, longest)))[:, 1:]
        sums = np.cumsum(sliding_window_view(ahead, longest, axis=1), axis=2)
        return np.concatenate([np.zeros((steps, steps, 1)), sums], axis=2)

    @cached_property
    def _displacement_norm(self) -> Floats:
        """<u, u> / dim, [i, b]: the b-th step k adds dsigma_k·(<v_k, u without it> + <v_k, u with it>)."""
        i, b = np.ogrid[: self.steps, 1 : self._longest + 1]
        k = np.minimum(i + b, self.steps - 1)
        added = self._dsigma[k] * (self._displacement[k, i, b - 1] + self._displacement[k, i, b])
        return np.concatenate([np.zeros((self.steps, 1)), np.cumsum(added, axis=1)], axis=1)


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


def _ridged(products: Floats) -> Floats:
    """Inner products with the ridge on their diagonal, shape (..., H, H), so that they can be solved for."""
    size = products.shape[-1]
    ridge = RIDGE * np.trace(products, axis1=-2, axis2=-1) / size
    ridged: Floats = products + np.maximum(ridge, np.finfo(float).tiny)[..., None, None] * np.eye(size)
    return ridged


def _check(mean: Floats, dsigma: Floats, growth: Floats, longest: int, restarts: Collection[int]) -> None:
    steps = len(dsigma)
    if (mean.shape, dsigma.shape, growth.shape) != ((steps, steps), (steps,), (steps + 1,)) or steps < 2:
        raise InvalidInput(
            f"mean {mean.shape}, dsigma {dsigma.shape} and growth {growth.shape} are not of one grid;"
            " for N ≥ 2 steps they have shapes (N, N), (N,) and (N + 1,)"
        )
    if not all(np.isfinite(array).all() for array in (mean, dsigma, growth)):
        raise InvalidInput("mean, dsigma and growth have to be finite; learn from one full run first")
    if longest < 1:
        raise InvalidInput(f"skips of at most {longest} steps are none; allow at least 1, or evaluate every step")
    if not all(0 <= step < steps for step in restarts):
        raise InvalidInput(f"restarts {sorted(restarts)} are not all among the steps 0 to {steps - 1}")
