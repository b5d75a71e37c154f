"""FlowTurbo's blocks: what they do literally, and that they are of second order."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from fastflow_ray.bench.flowturbo import PseudoCorrectorScheduler


def field(x: Tensor, sigma: float) -> Tensor:
    """dx/dsigma = x·cos(3·sigma): x(0) = x(1)·exp(−sin(3)/3)."""
    return x * math.cos(3 * sigma)


def walked(evaluations: int, x: Tensor) -> tuple[Tensor, list[float]]:
    """By the scheduler; and where it evaluated."""
    scheduler = PseudoCorrectorScheduler(shift=3.0)
    scheduler.set_timesteps(evaluations)
    sigmas = []
    for timestep in scheduler.timesteps:
        sigmas.append(float(timestep) / 1000)
        (x,) = scheduler.step(field(x, sigmas[-1]), timestep, x, return_dict=False)
    return x, sigmas


@pytest.mark.parametrize("evaluations", [2, 3, 8])
def test_one_block_of_heun_then_pseudo_correctors(evaluations: int) -> None:
    reference = FlowMatchEulerDiscreteScheduler(shift=3.0)
    reference.set_timesteps(evaluations - 1)
    sigmas = reference.sigmas.tolist()
    start = x = torch.randn(4, generator=torch.Generator().manual_seed(0))
    first = field(x, sigmas[0])
    for before, after in pairwise(sigmas):
        second = field(x + (after - before) * first, after)
        x, first = x + (after - before) * (first + second) / 2, second
    found, evaluated = walked(evaluations, start)
    torch.testing.assert_close(found, x)
    assert evaluated == pytest.approx(sigmas, abs=1e-6)


def test_it_is_of_second_order() -> None:
    start = torch.ones(1)
    truth = math.exp(-math.sin(3) / 3)
    errors = [abs(float(walked(steps + 1, start)[0]) - truth) for steps in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.25)


def test_a_pipeline_may_walk_it_again() -> None:
    scheduler = PseudoCorrectorScheduler()
    ends = []
    for _ in range(2):
        x = torch.ones(2, dtype=torch.bfloat16)
        scheduler.set_timesteps(5)
        for timestep in scheduler.timesteps:
            (x,) = scheduler.step(x, timestep, x)
        ends.append(x)
    assert torch.equal(*ends)
    assert ends[0].dtype is torch.bfloat16
