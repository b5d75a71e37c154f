"""What it costs to skip: the expected error that reaches the end, for every skip of a grid.

A skip is predicted from the two evaluations before it and, re-integrated, the one that ends it. Knows inner products,
and no path.
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
    """With R the covariance of the residuals of its b skipped steps, a skip that step j ends costs
    W_j²·(b + 1)^caution·dsigmaᵀ·R·dsigma.

    Args:
        mean: C, inner products of velocities per coordinate, shape (N, N), symmetric.
        dsigma: sigma_{k+1} − sigma_k, shape (N,).
        weight: W_j, by how much the error that a skip ending at step j leaves in x counts at the end, shape (N + 1,).
        reintegrate: whether skipped steps are integrated again once the evaluation that ends the skip is known.
        longest: steps that may be skipped in a row.
        caution: by which power of its length a skip counts for more. The longer it is, the less the mean of a few
            generations tells of how another one goes through it.
        restarts: steps at which another network takes over; they and their successors are evaluated, and no
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
        self._by_length = np.arange(1.0, longest + 2) ** caution
        self._restart = np.isin(np.arange(self.steps), list(restarts))

    @cached_property
    def of_first(self) -> Floats:
        """Weighed squared error when 0 is evaluated and then b steps are skipped, predicted from that velocity alone,
        (longest + 1,); inf where that is not allowed or no evaluation would follow."""
        b = np.arange(min(self.longest, self.steps - 2) + 1)
        b = b[self._skippable(np.zeros_like(b), b)]
        cost = np.full(self.longest + 1, np.inf)
        cost[b] = self._weight[1 + b] ** 2 * self._by_length[b] * self._error(np.zeros_like(b), b)
        return cost

    @cached_property
    def of_later(self) -> Floats:
        """Weighed squared error when i − 1 − a and i are evaluated and b steps skipped, [i, b, a];
        inf where that is not allowed."""
        gaps = np.arange(self.longest + 1)
        i, b, a = (axis.ravel() for axis in np.meshgrid(np.arange(self.steps), gaps, gaps, indexing="ij"))
        allowed = (i - 1 - a >= 0) & self._skippable(i, b)
        i, b, a = i[allowed], b[allowed], a[allowed]
        cost = np.full((self.steps, len(gaps), len(gaps)), np.inf)
        cost[i, b, a] = self._weight[i + 1 + b] ** 2 * self._by_length[b] * self._error(i, b, i - 1 - a)
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

    def _error(self, i: Steps, b: Steps, *previous: Steps) -> Floats:
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
        weights = np.linalg.solve(ridged(among), along[:, :, None])[:, :, 0]
        explained = 2 * (weights * along).sum(1) - np.einsum("mh,mhk,mk->m", weights, among, weights)
        error: Floats = np.maximum(self._displacement_norm[i, b] - explained, 0.0)
        return error

    @cached_property
    def _displacement(self) -> Floats:
        """<v_h, u> / dim with u = Σ dsigma_k·v_k over the b steps after i, [h, i, b]."""
        steps, longest = self.steps, self.longest
        ahead = np.pad(self._mean * self._dsigma, ((0, 0), (0, longest)))[:, 1:]
        sums = np.cumsum(sliding_window_view(ahead, longest, axis=1), axis=2)
        return np.concatenate([np.zeros((steps, steps, 1)), sums], axis=2)

    @cached_property
    def _displacement_norm(self) -> Floats:
        """<u, u> / dim, [i, b]: the b-th step k adds dsigma_k·(<v_k, u without it> + <v_k, u with it>)."""
        i, b = np.ogrid[: self.steps, 1 : self.longest + 1]
        k = np.minimum(i + b, self.steps - 1)
        added = self._dsigma[k] * (self._displacement[k, i, b - 1] + self._displacement[k, i, b])
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
