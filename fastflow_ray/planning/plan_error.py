"""How far a plan is expected to err: what its skips leave undone, as combinations of velocities whose mean inner
products are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.planning.learned_plan import skips
from fastflow_ray.sampling.plan import Plan

ROUNDED = 1e-5  # of a velocity, in the sums a prediction is made of

Floats = NDArray[np.float64]


def expected_error(plan: Plan, mean: Floats, growth: Floats, dsigma: Floats) -> float:
    """The mean squared error per coordinate that the plan leaves in the finished sample.

    Every skip leaves the difference between what its weights make of the velocities and their true way: a combination
    c of velocities, whose expected square is cᵀ·C·c, C being their inner products `mean`, (N, N), and which grows by G,
    `growth`, (N + 1,), from the skip's end. Skips are taken as uncorrelated.
    """
    error = 0.0
    for history, _, end in skips(plan.evaluated, plan.steps):
        left = left_by_skip(plan, dsigma, history, end)
        error += float(growth[end] ** 2 * (left @ mean @ left))
    return max(error, 0.0)


def left_by_skip(plan: Plan, dsigma: Floats, history: Sequence[int], end: int) -> Floats:
    """What the plan makes of the way from the latest evaluation of `history` to `end`, less the truth, as coefficients
    (N,) of the velocities."""
    left = again(plan, history, end) if end in plan.integrate else once(plan, dsigma, history, end)
    left[history[-1] : end] -= dsigma[history[-1] : end]
    return left


def once(plan: Plan, dsigma: Floats, history: Sequence[int], end: int) -> Floats:
    """The way from the latest evaluation of `history` to `end` as it is gone at first, as coefficients (N,)."""
    way, start = np.zeros(plan.steps), history[-1]
    way[start] = dsigma[start]
    for step in range(start + 1, end):
        weights = plan.predict[step]
        way[list(history)[-len(weights) :]] += dsigma[step] * np.array(weights)
    return way


def again(plan: Plan, history: Sequence[int], end: int) -> Floats:
    """The same way as it is gone again once the velocity at `end` is known."""
    way, weights = np.zeros(plan.steps), plan.integrate[end]
    way[[*history, end][-len(weights) :]] = weights
    return way


def foreseen_error(plan: Plan, mean: Floats, step: int) -> float:
    """The expected squared error of the prediction of v at evaluated `step`, per coordinate; at least what float32
    rounds off, which no job shall be blamed for."""
    left, weights = np.zeros(plan.steps), plan.foresee[step]
    history = [earlier for earlier in plan.evaluated if earlier < step]
    left[history[-len(weights) :]] = weights
    left[step] -= 1
    return max(float(left @ mean @ left), ROUNDED**2 * float(mean[step, step]))
