"""FastFlow as a plain loop: the specification that the step machine and the diffusers installation are held to."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fastflow_ray.sampling.grid import check_grid
from fastflow_ray.sampling.skip_policy import SkipPolicy
from fastflow_ray.sampling.skips import longest_skip
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.velocity import Velocity, as_noise, evaluated
from fastflow_ray.sampling.velocity_history import VelocityHistory, check_finite


@torch.no_grad()
def fastflow(
    velocity: Velocity, x: Tensor, sigmas: Tensor, policy: SkipPolicy, restarts: Collection[int] = ()
) -> tuple[Tensor, Trace]:
    """Euler with steps skipped: after evaluating step k, the next m steps go by the line through the last two v.

    Args:
        velocity, x, sigmas: as for `euler`; one call of `velocity` counts as one evaluation (NFE).
        policy: chooses m and is told the error of the prediction at the evaluation that ends the skip.
        restarts: steps at which another network takes over, so that history begins anew.

    Returns x at sigma = 0, float32, and what was done. Raises as `euler` does. Source: arXiv 2602.11105.
    """
    check_grid(sigmas)
    x = as_noise(x)
    trace, history, skip, k = Trace(steps=len(sigmas) - 1), VelocityHistory(), None, 0
    while k < trace.steps:
        v = evaluated(velocity, x, sigmas[k])
        trace.evaluated.append(k)
        trace.nfe += 1
        if skip is not None:  # this evaluation ends it
            error = history.error(sigmas[k], v)
            trace.errors.append((*skip, error))
            policy.observe(*skip, error)
            skip = None
        if k in restarts:
            history.clear()
        history.append(sigmas[k], v)
        m, longest = 0, longest_skip(k, trace.steps, restarts)
        if history.ready and longest >= 0:
            m = policy.choose(k, longest)
            skip = (k, m)
            trace.skips.append(skip)
        x = x + (sigmas[k + 1] - sigmas[k]) * v
        for j in range(k + 1, k + m + 1):
            x = x + (sigmas[j + 1] - sigmas[j]) * history.predict(sigmas[j])
        k += m + 1
    check_finite(x, trace.skipped)
    policy.finish()
    return x, trace
