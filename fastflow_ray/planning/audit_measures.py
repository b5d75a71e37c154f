"""What an audit measures: a planned walk beside the full run of its seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.planning.plan_error import again, left_by_skip, once
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

Floats = NDArray[np.float64]


def measured_growth(plan: Plan, walked: Sightings, full: Sightings, dsigma: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """How deviations grew in a planned trajectory whose seed was also run in full: (log g_k, known), each (N,).

    From one evaluated step to the next the deviation is what it was, grown, and what the skip between them added.
    The latter is known from the full run's velocities; the rest, over the former, is the growth, spread over the steps.
    """
    log_growth, known = np.zeros(plan.steps), np.zeros(plan.steps, dtype=bool)
    x_full, v_full = full.x, full.v
    ends = [*walked.steps[1:], plan.steps]
    deviations = [x - x_full[step] for x, step in zip(walked.x, [*walked.steps, plan.steps], strict=True)]
    for position, (start, end) in enumerate(zip(walked.steps, ends, strict=True)):
        before = np.linalg.norm(deviations[position])
        added = left_by_skip(plan, dsigma, walked.steps[: position + 1], end) @ v_full
        grown = np.linalg.norm(deviations[position + 1] - added)
        if before > 1e-6 * np.linalg.norm(x_full[start]) and grown > 0:
            log_growth[start:end] = math.log(grown / before) / (end - start)
            known[start:end] = True
    return log_growth, known


def measured_response(plan: Plan, walked: Sightings, full: Sightings, sigmas: Floats) -> tuple[Floats, Floats]:
    """How velocities would have had to answer the moves of x in a planned trajectory whose seed was also run in full:
    (product, square), each (N,), as `Response.add` takes them.

    Where a skip is gone again x moves by d, and the sample that the velocity evaluated before pointed to was off from
    the full run's by e, sigma times as far as the velocity. Their least-squares ratio is <e, d> / <d, d>; both are
    divided by <e, e> + <d, d>, so that no audit and no step weighs more than 1.
    """
    product, square = np.zeros(plan.steps), np.zeros(plan.steps)
    v_full, to_end = full.v, sigmas[:-1] - sigmas[-1]
    for step, v, move in moves_of_x(plan, walked.v, np.diff(sigmas)):
        off = to_end[step] * (v_full[step] - v)
        if off.any() and move.any():
            unit = off @ off + move @ move
            product[step], square[step] = off @ move / unit, move @ move / unit
    return product, square


def moves_of_x(plan: Plan, evaluated: Floats, dsigma: Floats) -> Iterator[tuple[int, Floats, Floats]]:
    """(step, velocity as evaluated, how x was moved there when its skip was gone again) for each evaluated step of a
    walk, which saw the velocities `evaluated`, (evaluated, coordinates)."""
    along = np.zeros((plan.steps, evaluated.shape[1]))  # by step, the velocities as they went along
    for position, (step, v) in enumerate(zip(plan.evaluated, evaluated, strict=True)):
        along[step], move, history = v, np.zeros_like(v), plan.evaluated[:position]
        if step in plan.integrate:
            move = (again(plan, history, step) - once(plan, dsigma, history, step)) @ along
        along[step] += plan.respond.get(step, 0.0) * move
        yield step, v, move
