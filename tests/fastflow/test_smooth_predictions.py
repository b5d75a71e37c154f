"""Smooth predictions are made where audits of both ways let them pay, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned

SIGMAS, BUDGET = flow_sigmas(30, 3.0), 7
STILL, BUMPS = 8, 400  # coordinates of x that stay and say which way the last one goes; the bumps of that way
SAYS = 3 * torch.randn(STILL, BUMPS, generator=torch.Generator().manual_seed(3))
AT = torch.linspace(-0.2, 1.2, BUMPS)
TURNS = torch.randn(2, STILL + 1, generator=torch.Generator().manual_seed(5))

Field = Callable[[Tensor, Tensor], Tensor]


def its_own_way(x: Tensor, sigma: Tensor) -> Tensor:
    """Every generation goes a smooth way of its own: a few tell little of how others go."""
    bumps = torch.exp(-(((sigma - AT) / 0.3) ** 2) / 2)
    speed = (torch.cos(x[:, :STILL] @ SAYS) * bumps).sum(-1, keepdim=True)
    return torch.cat([torch.zeros_like(x[:, :STILL]), speed], dim=1)


def swinging(x: Tensor, sigma: Tensor) -> Tensor:
    """Two directions take turns, the same for all: any two velocities tell every other, and nearness tells none."""
    return (torch.cos(40 * sigma) * TURNS[0] + torch.sin(40 * sigma) * TURNS[1]).expand_as(x)


def noise(seed: int) -> Tensor:
    return torch.randn(1, STILL + 1, generator=torch.Generator().manual_seed(seed))


def taught(field: Field) -> TrajectoryTable:
    fast = FastFlow()
    for seed in range(12):
        fast.sample(field, noise(seed), SIGMAS, key="k", evaluations=BUDGET)
    return fast.statistics.trajectories["k"]


def kept_db(field: Field, plan: Plan) -> float:
    """On average over generations that nothing was learnt from."""
    noises = [noise(seed) for seed in range(100, 132)]
    walked = [(planned(field, x, SIGMAS, plan)[0], euler(field, x, SIGMAS)) for x in noises]
    return float(np.mean([sample_psnr_db(ours, full) for ours, full in walked]))


@pytest.mark.parametrize(("field", "smooth"), [(its_own_way, True), (swinging, False)])
def test_predictions_are_made_the_way_that_keeps_more(field: Field, smooth: bool):
    table = taught(field)
    assert table.smoothing.pays == smooth
    book = PlanBook(table, SIGMAS.double().numpy())
    offer = book.served(BUDGET)
    assert offer.candidate.is_learnt
    assert kept_db(field, offer.plan) > kept_db(field, book.other_way(offer.plan, offer.candidate)) + 1


def test_every_audit_tells_from_the_first_on():
    table = taught(its_own_way)
    assert table.smoothing.audits > table.audits.most_audits, "while plans come from too few runs for rivals too"
