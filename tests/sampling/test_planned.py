"""Planned trajectories: what a plan must be, and that walking one is the arithmetic it says."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput, InvalidOutput
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.grid import fingerprint, flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

SIGMAS = flow_sigmas(8, 3.0)


def field(x: Tensor, sigma: Tensor) -> Tensor:
    """A curved flow without a network."""
    return torch.sin(3 * x) * (1 - sigma) + sigma * x


def noise() -> Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


def every_step(steps: int = 8) -> Plan:
    return Plan(steps, tuple(range(steps)), predict={}, integrate={})


def test_a_plan_without_skips_is_euler_bit_for_bit() -> None:
    x, trace = planned(field, noise(), SIGMAS, every_step())
    assert torch.equal(x, euler(field, noise(), SIGMAS))
    assert trace.evaluated == list(range(8))
    assert trace.nfe == 8


def test_skipped_steps_go_by_the_weighted_velocities_and_are_gone_again() -> None:
    """Steps 3 and 4 are skipped; the literal arithmetic beside the loop's."""
    plan = Plan(8, (0, 1, 2, 5, 6, 7), {3: (-1.0, 2.0), 4: (-1.5, 2.5)}, {5: (0.01, -0.2, -0.1)})
    d = (SIGMAS[1:] - SIGMAS[:-1]).tolist()
    x, seen = noise(), []
    for k in (0, 1, 2):
        before, v = x, field(x, SIGMAS[k])
        seen.append(v)
        x = x + d[k] * v
    for k in (3, 4):
        x = x + d[k] * (plan.predict[k][0] * seen[1] + plan.predict[k][1] * seen[2])
    v5 = field(x, SIGMAS[5])
    x = before + 0.01 * seen[1] - 0.2 * seen[2] - 0.1 * v5 + d[5] * v5
    for k in (6, 7):
        x = x + d[k] * field(x, SIGMAS[k])
    walked, trace = planned(field, noise(), SIGMAS, plan)
    torch.testing.assert_close(walked, x, atol=1e-5, rtol=1e-5)
    assert trace.evaluated == [0, 1, 2, 5, 6, 7]


def test_a_velocity_goes_along_where_x_is_set_back() -> None:
    """Points to a sample that stays the same wherever x is: who responds as such a field does needs no other look."""
    sample = noise() + 1
    skip, way = {2: (1.0,)}, {3: (float(SIGMAS[3] - SIGMAS[1]) + 0.05,)}  # the way is gone again by 0.05 more

    def pointing(x: Tensor, sigma: Tensor) -> Tensor:
        return (x - sample) / sigma

    plan = Plan(8, (0, 1, 3, 4, 5, 6, 7), skip, way, respond={3: 1 / float(SIGMAS[3])})
    seen, at = Sightings(), []
    planned(lambda x, sigma: at.append(x) or pointing(x, sigma), noise(), SIGMAS, plan, seen)  # type: ignore[func-returns-value]
    moved = torch.from_numpy(seen.x[2]).float().reshape(noise().shape)
    assert not torch.allclose(moved, at[2], atol=1e-3), "x was moved"
    went_on_by = (at[3] - moved) / (SIGMAS[4] - SIGMAS[3])
    torch.testing.assert_close(went_on_by, pointing(moved, SIGMAS[3]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.from_numpy(seen.v[2]).float(), pointing(at[2], SIGMAS[3]).flatten())


def test_sightings_hold_a_few_coordinates_of_what_was_evaluated() -> None:
    sightings = Sightings()
    x, _ = planned(field, noise(), SIGMAS, every_step(), sightings)
    assert sightings.steps == list(range(8))
    assert sightings.x.shape == (9, 24)
    torch.testing.assert_close(torch.from_numpy(sightings.x[-1]).float(), x.flatten())
    v = torch.from_numpy(sightings.v)
    torch.testing.assert_close(torch.from_numpy(sightings.gram), v @ v.T / 24)


def test_sightings_of_large_samples_stay_small() -> None:
    sightings = Sightings()
    planned(field, torch.randn(2, 16, 50, 50), SIGMAS, every_step(), sightings)
    assert 1000 < sightings.v.shape[1] <= 2 * 1024


def test_a_plan_survives_json() -> None:
    skip, way = {3: (0.1, 2.0), 4: (1 / 3,)}, {5: (0.1, -0.2, 1e-9)}
    plan = Plan(8, (0, 1, 2, 5, 6, 7), skip, way, {5: (0.3,)}, {5: 1 / 7}, "0123456789ab")
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_a_plan_of_before_velocities_responded_and_grids_were_noted_is_read() -> None:
    document = Plan(8, (0, 1, 2, 5, 6, 7), {3: (0.1, 2.0), 4: (1 / 3,)}, {5: (0.1, -0.2, 1e-9)}).to_dict()
    del document["respond"], document["grid"]
    plan = Plan.from_dict(document)
    assert (plan.respond, plan.grid) == ({}, None)
    planned(field, noise(), SIGMAS, plan)


@pytest.mark.parametrize(
    "damaged",
    [
        {"evaluated": (1, 2)},
        {"evaluated": (0, 2, 2)},
        {"evaluated": (0, 9)},
        {"predict": {}},
        {"predict": {3: (1.0,), 4: ()}},
        {"predict": {3: (1.0,), 4: (math.nan,)}},
        {"predict": {3: (1.0,), 4: (1.0, 1.0, 1.0)}},
        {"integrate": {5: (1.0, 1.0, 1.0, 1.0)}},
        {"foresee": {5: (1.0, 1.0, 1.0)}},
        {"integrate": {3: (1.0,)}},
        {"integrate": {0: (1.0,)}},
        {"integrate": {1: (1.0, 1.0, 1.0)}},
        {"foresee": {3: (1.0,)}},
        {"foresee": {0: (1.0,)}},
        {"foresee": {1: (0.5, 0.5)}},
        {"foresee": {5: (math.inf,)}},
        {"respond": {5: 1.0}},
        {"integrate": {5: (1.0,)}, "respond": {5: math.nan}},
        {"evaluated": (0, 2, 5, 6, 7), "predict": {1: (1.0, 1.0), 3: (1.0,), 4: (1.0,)}},
    ],
)
def test_an_impossible_plan_is_refused(damaged: dict[str, object]) -> None:
    sound = {"steps": 8, "evaluated": (0, 1, 2, 5, 6, 7), "predict": {3: (1.0,), 4: (1.0,)}, "integrate": {}}
    Plan(**sound)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        Plan(**(sound | damaged))  # type: ignore[arg-type]


@pytest.mark.parametrize("document", [{}, {"steps": "x"}, {"steps": 8, "evaluated": 3, "predict": {}, "integrate": {}}])
def test_what_is_not_a_plan_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="not a plan"):
        Plan.from_dict(document)


def test_a_plan_for_another_grid_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the grid has 8"):
        planned(field, noise(), SIGMAS, every_step(9))
    with pytest.raises(InvalidInput, match="another grid of 8 steps"):
        planned(field, noise(), SIGMAS, replace(every_step(), grid=fingerprint(flow_sigmas(8, 7.0))))


def test_a_network_that_breaks_is_noticed() -> None:
    with pytest.raises(InvalidOutput):
        planned(lambda x, _: x * math.nan, noise(), SIGMAS, every_step())
