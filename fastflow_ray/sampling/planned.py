"""A planned trajectory as a plain loop: the specification that the diffusers installation is held to."""

from __future__ import annotations

import torch
from torch import Tensor

from fastflow_ray.sampling.grid import check_grid, fingerprint
from fastflow_ray.sampling.plan import REMEMBERED, Plan, combine, go_again
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.velocity import Velocity, as_noise, evaluated
from fastflow_ray.sampling.velocity_history import check_finite
from fastflow_ray.sampling.watch import Watch, unwatched


@torch.no_grad()
def planned(
    velocity: Velocity,
    x: Tensor,
    sigmas: Tensor,
    plan: Plan,
    sightings: Sightings | None = None,
    watch: Watch = unwatched,
) -> tuple[Tensor, Trace]:
    """Integrate dx/dsigma = velocity(x, sigma) over `sigmas`, shape (steps + 1,), evaluating where `plan` says.

    A plan that evaluates every step is Euler, bit for bit. `sightings` notes what the network was seen to do,
    and `watch`, asked after every evaluation, may add evaluations to the plan; `trace.plan` is the one that was walked.
    Returns x at sigma = 0, float32, and what was done. Raises InvalidInput, InvalidOutput.
    """
    check_grid(sigmas)
    plan.check(len(sigmas) - 1, fingerprint(sigmas))
    trace, sightings = Trace(steps=plan.steps), sightings or Sightings()
    x = start = as_noise(x)
    known: list[Tensor] = []
    for k in range(plan.steps):
        if k in plan.predict:
            v = combine(plan.predict[k], known)
        else:
            seen = evaluated(velocity, x, sigmas[k])
            x, v = go_again(plan, k, start, x, [*known, seen])
            start, known = x, [*known, v][-REMEMBERED:]
            trace.add_evaluation(k)
            sightings.add(k, x, seen)
            plan = watch(plan, sightings)
        x = x + (sigmas[k + 1] - sigmas[k]) * v
    sightings.end(x)
    check_finite(x, len(plan.predict))
    trace.plan, trace.skips = plan, plan.skips
    return x, trace
