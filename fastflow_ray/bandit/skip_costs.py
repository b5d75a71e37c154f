"""What it costs to skip: the expected squared error that reaches the end, for every skip of a grid of N steps.

The letters in indices: step i is evaluated, a steps are skipped before it and b after it. So the evaluations around
it are i − 1 − a and i + 1 + b. The velocities of the b steps are predicted from those two before the skip, i − 1 − a
and i; where the skip is re-integrated, also from the one that ends it. Knows inner products, and no path.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastflow_ray.bandit.kriging import ridged
from fastflow_ray.errors import InvalidInput

Floats = NDArray[np.float64]
Steps = NDArray[np.intp]


class SkipCosts:
    """A skip of b steps that ends at step j costs W_j²·(b + 1)^caution·dsigmaᵀ·R·dsigma.

    R, (b, b), holds the expected inner products of the errors of the b predicted velocities, per coordinate. So
    dsigmaᵀ·R·dsigma is the expected squared error that the skip leaves in x, per coordinate.

    Args:
        mean: C, inner products of velocities per coordinate, shape (N, N), symmetric.
        dsigma: sigma_{k+1} − sigma_k, shape (N,).
        weight: W_j, how much an error in x counts that a skip ending at step j leaves, shape (N + 1,).
        reintegrate: whether a skip is integrated again once the evaluation that ends it is known.
        longest: steps that may be skipped in a row, 1 or more.
        caution: the power of its length by which a skip costs more. The longer a skip, the less the mean of a few
            generations tells of another one.
        restarts: steps at which another network takes over. They and the steps after them are evaluated, and no
            prediction uses velocities from both sides.

    Raises:
        InvalidInput: for arrays of the wrong shape or with values that are not finite, and for a restart off the grid.
    """

    def __init__(
        self,
        mean: Floats,
        dsigma: Floats,
        weight: Floats,
        *,
        reintegrate: bool,
        longest: int,
        caution: float,
        restarts: Collection[int],
    ) -> None:
        _check(mean, dsigma, weight, longest, restarts)
        self.steps = len(mean)
        self.longest = longest
        self._mean, self._dsigma, self._weight = mean, dsigma, weight
        self._reintegrate = reintegrate
        self._caution_factor = np.arange(1.0, longest + 2) ** caution
        self._restart = np.isin(np.arange(self.steps), list(restarts))

    @cached_property
    def of_first(self) -> Floats:
        """The cost of the first skip, of b steps after step 0, where step 0 is all there is to predict from, [b].

        Shape (longest + 1,); inf where the skip is not allowed, or no evaluation would follow.
        """
        b = np.arange(min(self.longest, self.steps - 2) + 1)
        b = b[self._may_skip(np.zeros_like(b), b)]
        cost = np.full(self.longest + 1, np.inf)
        cost[b] = self._cost(np.zeros_like(b), b)
        return cost

    @cached_property
    def of_later(self) -> Floats:
        """The cost of every other skip, of b steps after i with a steps skipped before i, [i, b, a].

        Shape (N, longest + 1, longest + 1); inf where the skip is not allowed.
        """
        lengths = np.arange(self.longest + 1)
        i, b, a = (axis.ravel() for axis in np.meshgrid(np.arange(self.steps), lengths, lengths, indexing="ij"))
        allowed = (i - 1 - a >= 0) & self._may_skip(i, b)
        i, b, a = i[allowed], b[allowed], a[allowed]
        cost = np.full((self.steps, len(lengths), len(lengths)), np.inf)
        cost[i, b, a] = self._cost(i, b, i - 1 - a)
        return cost

    def _cost(self, i: Steps, b: Steps, *previous: Steps) -> Floats:
        """As the class says, for each skip of b steps after i; `previous` is the evaluation before i, if there is one.
        All have the shape (skips,)."""
        cost: Floats = self._weight[i + 1 + b] ** 2 * self._caution_factor[b] * self._error_in_x(i, b, *previous)
        return cost

    def _may_skip(self, i: Steps, b: Steps) -> NDArray[np.bool_]:
        """Whether there are b steps after i, and restarts demand none of them; (skips,).

        As a restart and the step after it are evaluated, both evaluations before a later skip are the new network's.
        """
        needed = self._restart.copy()
        needed[1:] |= self._restart[:-1]
        needed_before = np.concatenate([[0], np.cumsum(needed)])
        end = i + 1 + b
        none_needed: NDArray[np.bool_] = needed_before[np.minimum(end, self.steps)] == needed_before[i + 1]
        return none_needed & (end <= self.steps)

    def _error_in_x(self, i: Steps, b: Steps, *previous: Steps) -> Floats:
        """Expected squared error per coordinate that skipping b steps after i leaves in x, (skips,)."""
        error, end = np.zeros(len(i)), np.minimum(i + 1 + b, self.steps - 1)
        uses_end = (i + 1 + b < self.steps) & ~self._restart[end] & self._reintegrate
        interpolated, extrapolated = (b > 0) & uses_end, (b > 0) & ~uses_end
        before, around = np.stack([*previous, i], 1), np.stack([*previous, i, end], 1)
        error[interpolated] = self._prediction_error(around[interpolated], i[interpolated], b[interpolated])
        error[extrapolated] = self._prediction_error(before[extrapolated], i[extrapolated], b[extrapolated])
        return error

    def _prediction_error(self, history: Steps, i: Steps, b: Steps) -> Floats:
        """Expected squared error per coordinate of u, the displacement of x over a skip, as predicted from the
        evaluations `history`, (skips, H); the result is (skips,).

        u = Σ dsigma_k·v_k over the b steps after i. Kriging is linear: to predict each velocity and to add up is to
        predict u. With weights w = C_HH⁻¹·<v_H, u> the error is <u, u> − 2·w·<v_H, u> + w·C_HH·w.
        """
        c_hh = self._mean[history[:, :, None], history[:, None, :]]  # (skips, H, H)
        c_hu = self._velocity_displacement[history, i[:, None], b[:, None]]  # (skips, H)
        w = np.linalg.solve(ridged(c_hh), c_hu[:, :, None])[:, :, 0]
        explained = 2 * (w * c_hu).sum(1) - np.einsum("mh,mhk,mk->m", w, c_hh, w)
        error: Floats = np.maximum(self._displacement_squared[i, b] - explained, 0.0)
        return error

    @cached_property
    def _velocity_displacement(self) -> Floats:
        """<v_h, u> / dim, u the displacement over the b steps after i, [h, i, b]; (N, N, longest + 1)."""
        steps, longest = self.steps, self.longest
        per_step = self._mean * self._dsigma  # [h, k]: <v_h, dsigma_k·v_k> / dim
        later = np.pad(per_step, ((0, 0), (0, longest)))[:, 1:]  # from step i + 1 at column i; 0 beyond the grid
        sums = np.cumsum(sliding_window_view(later, longest, axis=1), axis=2)
        return np.concatenate([np.zeros((steps, steps, 1)), sums], axis=2)

    @cached_property
    def _displacement_squared(self) -> Floats:
        """<u, u> / dim, [i, b]; (N, longest + 1).

        The b-th step k adds dsigma_k·(<v_k, u without it> + <v_k, u with it>).
        """
        i, b = np.ogrid[: self.steps, 1 : self.longest + 1]
        k = np.minimum(i + b, self.steps - 1)
        added = self._dsigma[k] * (self._velocity_displacement[k, i, b - 1] + self._velocity_displacement[k, i, b])
        return np.concatenate([np.zeros((self.steps, 1)), np.cumsum(added, axis=1)], axis=1)


def _check(mean: Floats, dsigma: Floats, weight: Floats, longest: int, restarts: Collection[int]) -> None:
    steps = len(dsigma)
    if (mean.shape, dsigma.shape, weight.shape) != ((steps, steps), (steps,), (steps + 1,)) or steps < 2:
        raise InvalidInput(
            f"mean {mean.shape}, dsigma {dsigma.shape} and weight {weight.shape} are not of one grid;"
            " for N ≥ 2 steps they have shapes (N, N), (N,) and (N + 1,)"
        )
    if not all(np.isfinite(array).all() for array in (mean, dsigma, weight)):
        raise InvalidInput("mean, dsigma and weight have to be finite; learn from one full run first")
    if longest < 1:
        raise InvalidInput(f"skips of at most {longest} steps are none; allow at least 1, or evaluate every step")
    if not all(0 <= step < steps for step in restarts):
        raise InvalidInput(f"restarts {sorted(restarts)} are not all among the steps 0 to {steps - 1}")
