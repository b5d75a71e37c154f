"""What an audit measures of how velocities respond, on fields whose response is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.planning.audit_measures import measured_response, moves_of_x
from fastflow_ray.planning.learned_plan import draw_up, every_step
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.sightings import Sightings

STEPS, EVALUATED = 10, (0, 1, 4, 5, 8)  # skips 2-3, 6-7 and 9
BLUR = 1e-3 * np.eye(STEPS)
SIGMAS = flow_sigmas(STEPS, 3.0)
Field = Callable[[Tensor, Tensor], Tensor]


def noise(seed: int = 2, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(1, 200, generator=torch.Generator().manual_seed(seed))


def pulled(response: float, scale: float = 1.0) -> Field:
    """A field that answers a move of x by that much of 1 / sigma, and bends: what it is pulled to moves."""
    to = noise(1, scale)
    return lambda x, sigma: response * (x - to * torch.sin(4 * sigma)) / sigma


def walk(field: Field, plan: Plan, x: Tensor, sigmas: Tensor = SIGMAS) -> Sightings:
    """As a pipeline does, which may count its grid upwards."""
    told: list[Sightings] = []
    machine = PlanMachine(plan, lambda seen, _: told.append(seen))
    for sigma, after in pairwise(sigmas):
        velocity = x if machine.is_skipping else field(x, sigma)
        x = machine.advance(velocity, x, lambda v, x, dsigma=after - sigma: x + dsigma * v)  # type: ignore[misc]
    machine.finish()
    return told[0]


def audited(field: Field, x: Tensor, sigmas: Tensor = SIGMAS) -> tuple[np.ndarray, np.ndarray]:
    """(product, square) of a walk planned from the very full run, blurred so that it errs."""
    full = walk(field, every_step(STEPS), x, sigmas)
    plan = draw_up(EVALUATED, Integrator.INTERPOLATE, full.gram + BLUR * x.var().item(), sigmas.double().numpy())
    return measured_response(plan, walk(field, plan, x, sigmas), full, sigmas.double().numpy())


@pytest.mark.parametrize("truth", [0.0, 0.3, 0.8, 1.0])
def test_the_response_of_a_field_is_measured(truth: float) -> None:
    """At the first skip exactly but for what going again leaves; later ones see older deviations as well."""
    product, square = audited(pulled(truth), noise())
    moved = np.isin(np.arange(STEPS), [4, 8]) & bool(truth)
    assert ((square > 0) == moved).all()
    assert ((product != 0) == moved).all()
    assert product[4] == pytest.approx(truth * square[4], rel=0.06)


def test_no_audit_weighs_more_for_its_size() -> None:
    ours, large = audited(pulled(0.8), noise()), audited(pulled(0.8, scale=1000), noise(scale=1000))
    np.testing.assert_allclose(large, ours, rtol=0.03)


def test_a_velocity_that_hardly_responds_does_not_outweigh_all_others() -> None:
    """What it was off by is next to nothing, and that is no reason to be heard louder."""
    product, square = audited(lambda x, sigma: noise(1) * torch.cos(3 * sigma) + 1e-3 * x, noise())
    assert 0.5 < square[4] <= 1
    assert abs(product[4]) < 0.01


def test_on_a_grid_that_counts_upwards_it_is_the_same() -> None:
    field = pulled(0.8)
    upwards = audited(lambda x, sigma: -field(x, 1 - sigma), noise(), 1 - SIGMAS)
    np.testing.assert_allclose(upwards, audited(field, noise()), rtol=1e-2, atol=1e-4)


def test_moves_are_those_of_the_walk() -> None:
    """Drawn up to respond, so that later ones are of velocities that went along."""
    field, at = pulled(0.8), []
    mean = walk(field, every_step(STEPS), noise()).gram + np.eye(STEPS)
    plan = draw_up(EVALUATED, Integrator.INTERPOLATE, mean, SIGMAS.double().numpy(), response=np.full(STEPS, 0.7))
    seen = walk(lambda x, sigma: at.append(x) or field(x, sigma), plan, noise())  # type: ignore[func-returns-value]
    dsigma = np.diff(SIGMAS.double().numpy())
    for position, (step, v, move) in enumerate(moves_of_x(plan, seen.v, dsigma)):
        assert (v == seen.v[position]).all()
        assert move == pytest.approx(seen.x[position] - at[position].double().numpy()[0], abs=1e-5)
        assert bool(move.any()) == (step in (4, 8))
