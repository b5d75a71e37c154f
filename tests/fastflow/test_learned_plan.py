"""From statistics to a plan and back: every integrator's weights by hand, and expectations against what comes true."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.bandit.kriging import kriging_weights
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.learned_plan import (
    TOLD,
    draw_up,
    evenly_spread,
    every_step,
    expected_error,
    foreseen_error,
    learn_misses,
)
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

STEPS, EVALUATED = 10, (0, 1, 4, 5, 8)  # skips 2-3, 6-7 and 9
SIGMAS = flow_sigmas(STEPS, 3.0)
S = SIGMAS.double().numpy()
D = np.diff(S)


def velocities(seed: int, dim: int = 200) -> np.ndarray:
    """Of one generation, (STEPS, dim): slow waves with some roughness."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, STEPS)[:, None]
    waves = sum(rng.normal(size=dim) / k * np.sin(k * t + rng.uniform(0, 6, dim)) for k in range(1, 6))
    return waves + 0.05 * rng.normal(size=(STEPS, dim))


def products(v: np.ndarray) -> np.ndarray:
    return v @ v.T / v.shape[1]


MEAN = products(velocities(0))


def drawn(integrator: Integrator, restarts: tuple[int, ...] = ()) -> Plan:
    return draw_up(EVALUATED, integrator, MEAN, S, restarts)


def kriged(history: list[int], step: int) -> tuple[float, ...]:
    return pytest.approx(tuple(kriging_weights(MEAN, history, step)), rel=1e-9)


def line(before: int, last: int, step: int) -> tuple[float, float]:
    """v_last + (sigma_k − sigma_last)·(v_last − v_before)/(sigma_last − sigma_before)"""
    slope = (S[step] - S[last]) / (S[last] - S[before])
    return pytest.approx((-slope, 1 + slope))


def test_holding_is_euler_with_fewer_steps():
    plan = drawn(Integrator.HOLD)
    assert plan.predict == dict.fromkeys((2, 3, 6, 7, 9), (1.0,))
    assert plan.foresee == {4: (1.0,), 8: (1.0,)}
    assert plan.integrate == {}
    x, v = torch.randn(1, 200, generator=torch.Generator().manual_seed(0)), torch.from_numpy(velocities(1)).float()
    expected = x.clone()
    for start, end in pairwise((*EVALUATED, STEPS)):
        expected += (SIGMAS[end] - SIGMAS[start]) * v[start]
    torch.testing.assert_close(planned(of_steps(v), x, SIGMAS, plan)[0], expected)


def test_a_line_goes_through_the_last_two_velocities():
    plan = drawn(Integrator.LINE)
    assert plan.predict == {
        k: line(*pair, k) for k, pair in {2: (0, 1), 3: (0, 1), 6: (4, 5), 7: (4, 5), 9: (5, 8)}.items()
    }
    assert plan.foresee == {4: line(0, 1, 4), 8: line(4, 5, 8)}
    assert plan.integrate == {}


def test_adams_goes_along_the_line_and_again_along_the_parabola():
    plan = drawn(Integrator.ADAMS)
    assert plan.predict == drawn(Integrator.LINE).predict
    assert plan.foresee == drawn(Integrator.LINE).foresee
    for end, history, start, skipped in ((4, (0, 1, 4), 1, [2, 3]), (8, (4, 5, 8), 5, [6, 7])):
        parabola = np.linalg.solve(np.vander(S[list(history)], increasing=True).T, np.vander(S, 3, increasing=True).T)
        way = parabola[:, skipped] @ D[skipped]
        way[history.index(start)] += D[start]
        assert plan.integrate[end] == pytest.approx(way)
    assert set(plan.integrate) == {4, 8}


@pytest.mark.parametrize(
    ("integrator", "first", "again"),
    [
        (Integrator.HOLD, (1.0,), None),
        (Integrator.LINE, (1.0,), None),
        (Integrator.ADAMS, (1.0,), 2),
        (Integrator.EXTRAPOLATE, kriged([0], 2), None),
        (Integrator.INTERPOLATE, kriged([0], 2), 2),
        (Integrator.HALFWAY, kriged([0], 2), 2),
    ],
)
def test_a_skip_of_the_second_step_goes_by_the_first_velocity(integrator, first, again):
    plan = draw_up((0, 3, 6), integrator, MEAN, S)
    assert plan.predict[2] == first
    assert (len(plan.integrate[3]) if 3 in plan.integrate else None) == again


@pytest.mark.parametrize("integrator", [Integrator.EXTRAPOLATE, Integrator.INTERPOLATE])
def test_kriging_predicts_from_the_last_two(integrator):
    plan = drawn(integrator)
    assert plan.predict == {
        k: kriged([*pair], k) for k, pair in {2: (0, 1), 3: (0, 1), 6: (4, 5), 7: (4, 5), 9: (5, 8)}.items()
    }
    assert plan.foresee == {4: kriged([0, 1], 4), 8: kriged([4, 5], 8)}


def test_interpolating_goes_again_with_what_ended_the_skip():
    assert drawn(Integrator.EXTRAPOLATE).integrate == {}
    ways = {}
    for end, history, start, skipped in ((4, [0, 1, 4], 1, [2, 3]), (8, [4, 5, 8], 5, [6, 7])):
        way = sum(D[k] * kriging_weights(MEAN, history, k) for k in skipped)
        way[history.index(start)] += D[start]
        ways[end] = pytest.approx(tuple(way))
    assert drawn(Integrator.INTERPOLATE).integrate == ways


@pytest.mark.parametrize("integrator", list(Integrator))
def test_nothing_is_foreseen_or_gone_again_across_a_change_of_network(integrator):
    plan = drawn(integrator, restarts=(4,))
    assert 4 not in plan.foresee
    assert 4 not in plan.integrate
    assert 8 in plan.foresee


# What is expected, against what comes true on a flow that has exactly these inner products


def of_steps(v: Tensor, sigmas: Tensor = SIGMAS):
    """A field that has velocity v_k at step k wherever x is: no deviation grows."""
    return lambda x, sigma: v[int((sigmas == sigma).nonzero())].expand_as(x)


def errors_of_skips(plan: Plan, v: np.ndarray) -> list[tuple[int, float]]:
    """(end, MSE that the skip added to x), by walking."""
    field, x = of_steps(torch.from_numpy(v)), torch.zeros(1, v.shape[1])
    ours, full = Sightings(), Sightings()
    planned(field, x, SIGMAS, plan, ours)
    planned(field, x, SIGMAS, every_step(STEPS), full)
    ends = [*ours.steps, STEPS]
    deviations = ours.x - full.x[ends]
    return [(end, float(((b - a) ** 2).mean())) for end, (a, b) in zip(ends[1:], pairwise(deviations), strict=True)]


@pytest.mark.parametrize("integrator", list(Integrator))
def test_the_expected_error_comes_true(integrator):
    v = velocities(0)
    table = TrajectoryTable.empty(STEPS, "g")
    table.add_run(products(v))
    table.growth.add(np.linspace(-0.3, 0.4, STEPS), np.full(STEPS, True))
    plan = draw_up(EVALUATED, integrator, table.mean, S)
    truth = sum(table.growth.to_end[end] ** 2 * error for end, error in errors_of_skips(plan, v))
    assert expected_error(plan, table, D) == pytest.approx(truth, rel=1e-3)
    assert truth > 1e-6


@pytest.mark.parametrize("integrator", list(Integrator))
def test_the_expected_error_is_the_mean_over_many_generations(integrator):
    table = TrajectoryTable.empty(STEPS, "g")
    for seed in range(40):
        table.add_run(products(velocities(seed)))
    plan = draw_up(EVALUATED, integrator, table.mean, S)
    each = [
        sum(table.growth.to_end[end] ** 2 * error for end, error in errors_of_skips(plan, velocities(seed)))
        for seed in range(40)
    ]
    assert expected_error(plan, table, D) == pytest.approx(np.mean(each), rel=1e-3)


def test_every_step_is_expected_to_err_by_nothing():
    table = TrajectoryTable.empty(STEPS, "g")
    table.add_run(MEAN)
    assert expected_error(every_step(STEPS), table, D) == 0


@pytest.mark.parametrize("integrator", list(Integrator))
def test_a_foreseen_error_comes_true_at_the_evaluation(integrator):
    v, plan, seen = velocities(0), drawn(integrator), Sightings()
    planned(of_steps(torch.from_numpy(v)), torch.zeros(1, 200), SIGMAS, plan, seen)
    misses = dict(seen.misses(plan))
    assert misses == {step: pytest.approx(foreseen_error(plan, MEAN, step), rel=1e-3) for step in (4, 8)}
    known, table = TrajectoryTable.empty(STEPS, "g"), TrajectoryTable.empty(STEPS, "g")
    known.add_run(MEAN)
    learn_misses([table], plan, seen, known)
    assert table.misses.count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert table.misses.log_sum == pytest.approx(np.zeros(STEPS), abs=1e-3), "as expected"
    known.misses.count[4] = TOLD
    learn_misses([table], plan, seen, known)
    assert table.misses.count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 2, 0], "enough was told of step 4"


# How velocities respond


@pytest.mark.parametrize("integrator", list(Integrator))
def test_velocities_respond_where_learnt_ways_are_gone_again_and_per_unit_of_sigma(integrator):
    response = np.linspace(0, 0.9, STEPS)
    plan = draw_up(EVALUATED, integrator, MEAN, S, response=response)
    learns = integrator in (Integrator.INTERPOLATE, Integrator.HALFWAY)
    assert plan.respond == (
        {4: pytest.approx(response[4] / S[4]), 8: pytest.approx(response[8] / S[8])} if learns else {}
    )
    assert draw_up(EVALUATED, integrator, MEAN, S, response=np.zeros(STEPS)) == drawn(integrator)


# Evenly spread


def test_evenly_spread_by_hand():
    assert evenly_spread(10, 2) == (0, 5)
    assert evenly_spread(10, 4) == (0, 2, 5, 8)
    assert evenly_spread(10, 10) == tuple(range(10))
    assert evenly_spread(10, 2, restarts=(4,)) == (0, 4, 5)
    assert evenly_spread(10, 6, restarts=(4,)) == (0, 2, 4, 5, 7, 8)
    assert evenly_spread(10, 3, restarts=(9,)) == (0, 4, 9)


@st.composite
def spreads(draw):
    steps = draw(st.integers(4, 200))
    restarts = draw(st.sets(st.integers(1, steps - 1), max_size=2))
    return steps, draw(st.integers(2, steps)), restarts


@settings(max_examples=200)
@given(spreads())
def test_whatever_is_evenly_spread_is_just_so_many_and_leaves_no_long_way(spread):
    steps, evaluations, restarts = spread
    needed = {0} | {step for start in restarts for step in (start, start + 1) if step < steps}
    evaluated = evenly_spread(steps, evaluations, restarts)
    assert list(evaluated) == sorted(set(evaluated))
    assert needed <= set(evaluated) <= set(range(steps))
    assert len(evaluated) == max(evaluations, len(needed))
    if evaluations > len(needed):
        longest = max(end - start for start, end in pairwise((*evaluated, steps)))
        assert longest <= 2 + 2 * steps / (evaluations - len(needed) + 1)
