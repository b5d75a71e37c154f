"""Where planner and sampler meet: a path becomes a `Plan`.

bandit/    knows which velocities predict which, and finds the path of least error;  knows no tensor
sampling/  walks a plan and notes what it sees on a few coordinates;                 knows no statistics
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.bandit.kriging import kriging_weights
from fastflow_ray.sampling.grid import fingerprint
from fastflow_ray.sampling.plan import REMEMBERED, Plan

BY_KRIGING_AGAIN = (Integrator.INTERPOLATE, Integrator.HALFWAY)

Floats = NDArray[np.float64]
Weights = tuple[float, ...]


def every_step(steps: int) -> Plan:
    """Euler, as a plan."""
    return Plan(steps, tuple(range(steps)), predict={}, integrate={})


def needed_steps(steps: int, restarts: Collection[int]) -> set[int]:
    """What every plan evaluates: the first step, those at `restarts`, and the ones after them."""
    return {0} | {step for start in restarts for step in (start, start + 1) if step < steps}


def evenly_spread(steps: int, evaluations: int, restarts: Collection[int] = ()) -> tuple[int, ...]:
    """Evaluated steps of about equal distance: each stretch between needed ones is cut where cutting it once more helps
    the most."""
    needed = sorted(needed_steps(steps, restarts))
    stretches = list(zip(needed, [*needed[1:], steps], strict=True))
    parts = [1] * len(stretches)
    for _ in range(min(evaluations, steps) - len(needed)):
        longest = max(range(len(parts)), key=lambda s: (stretches[s][1] - stretches[s][0]) / parts[s])
        parts[longest] += 1
    cuts = (np.linspace(*ends, n, endpoint=False) for ends, n in zip(stretches, parts, strict=True))
    return tuple(np.concatenate(list(cuts)).round().astype(int).tolist())


def draw_up(
    evaluated: Sequence[int],
    integrator: Integrator,
    mean: Floats,
    sigmas: Floats,
    restarts: Collection[int] = (),
    response: Floats | None = None,
) -> Plan:
    """The plan that evaluates those steps and goes through the others by `integrator`.

    Args:
        evaluated: rising from 0; at each of `restarts`, it and the one after it among them.
        mean: C, inner products of velocities per coordinate, (N, N); for integrators that predict by kriging.
        sigmas: (N + 1,), falling.
        restarts: steps at which another network takes over; nothing is predicted across.
        response: how velocities answer a move of x, (N,), for integrators that predict by kriging and go again; as
            `Response.share`. None: not at all.
    """
    predict: dict[int, Weights] = {}
    integrate: dict[int, Weights] = {}
    foresee: dict[int, Weights] = {}
    for history, start, end in skips(evaluated, len(mean)):
        predict |= _predictions(integrator, mean, sigmas, history, range(start + 1, end))
        if end < len(mean) and end not in restarts:
            foresee |= _predictions(integrator, mean, sigmas, history, [end])
            if (way := _again(integrator, mean, sigmas, history, start, end)) is not None:
                integrate[end] = way
    responds = response if response is not None and integrator in BY_KRIGING_AGAIN else np.zeros(len(mean))
    respond = {end: float(responds[end] / (sigmas[end] - sigmas[-1])) for end in integrate if responds[end]}
    return Plan(len(mean), tuple(evaluated), predict, integrate, foresee, respond, fingerprint(sigmas))


def skips(evaluated: Sequence[int], steps: int) -> Iterator[tuple[list[int], int, int]]:
    """(history, start, end) of every skip: the latest evaluations up to `start`, and the evaluation that ends it."""
    for position, (start, end) in enumerate(zip(evaluated, [*evaluated[1:], steps], strict=True)):
        if end > start + 1:
            yield list(evaluated[max(0, position + 1 - REMEMBERED) : position + 1]), start, end


def _predictions(
    integrator: Integrator, mean: Floats, sigmas: Floats, history: Sequence[int], steps: Sequence[int]
) -> dict[int, Weights]:
    """For each of `steps` the weights of the velocities of `history` for v there."""
    if integrator is Integrator.HOLD:
        return dict.fromkeys(steps, (1.0,))
    if integrator in (Integrator.LINE, Integrator.ADAMS):
        weights = _polynomial(sigmas, history, steps)
    else:
        weights = kriging_weights(mean, history, steps)
    return dict(zip(steps, map(tuple, weights.T.tolist()), strict=True))


def _again(
    integrator: Integrator, mean: Floats, sigmas: Floats, history: Sequence[int], start: int, end: int
) -> Weights | None:
    """Weights of the velocities of `history` and at `end` for the way between them, once `end` is known; None for who
    does not go again."""
    skipped, known = list(range(start + 1, end)), [*history, end]
    if integrator is Integrator.ADAMS:
        return _way(_polynomial(sigmas, known, skipped), sigmas, known, start, skipped)
    if integrator not in BY_KRIGING_AGAIN:
        return None
    again = _way(kriging_weights(mean, known, skipped), sigmas, known, start, skipped)
    if integrator is Integrator.INTERPOLATE:
        return again
    once = _way(kriging_weights(mean, history, skipped), sigmas, history, start, skipped)
    return _between((*once, 0.0), again)


def _polynomial(sigmas: Floats, history: Sequence[int], steps: Sequence[int]) -> Floats:
    """Weights of the velocities of `history` at `steps`, (H, steps), on the polynomial in sigma of least degree that
    goes through them (Lagrange): held, along a line, along a parabola."""
    at, weights = sigmas[list(steps)], np.ones((len(history), len(steps)))
    for row, here in zip(weights, history, strict=True):
        for other in (step for step in history if step != here):
            row *= (at - sigmas[other]) / (sigmas[here] - sigmas[other])
    return weights


def _way(weights: Floats, sigmas: Floats, history: Sequence[int], start: int, skipped: list[int]) -> Weights:
    """Weights of the velocities of `history` for the way from `start`, whose own velocity is real, over the skip, whose
    velocities have `weights`, (H, skipped)."""
    dsigma = np.diff(sigmas)
    way = weights @ dsigma[skipped]
    way[list(history).index(start)] += dsigma[start]
    return tuple(way.tolist())


def _between(one: Weights, other: Weights) -> Weights:
    return tuple((a + b) / 2 for a, b in zip(one, other, strict=True))
