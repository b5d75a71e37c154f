"""From statistics to a plan: every integrator's weights by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ten_steps import EVALUATED, MEAN, SIGMAS, STEPS, D, S, drawn, of_steps, velocities

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.bandit.kriging import kriging_weights
from fastflow_ray.planning.learned_plan import draw_up, evenly_spread
from fastflow_ray.sampling.planned import planned


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
