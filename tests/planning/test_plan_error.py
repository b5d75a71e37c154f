"""What a plan is expected to leave, against what comes true on a flow that has exactly these inner products."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from ten_steps import EVALUATED, MEAN, SIGMAS, STEPS, D, S, drawn, of_steps, products, velocities

from fastflow_ray.bandit.candidates import Integrator
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.learned_plan import draw_up, every_step
from fastflow_ray.planning.learning import TOLD, learn_misses
from fastflow_ray.planning.plan_error import expected_error, foreseen_error
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings


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
    plan = draw_up(EVALUATED, integrator, table.products.mean, S)
    truth = sum(table.growth.to_end[end] ** 2 * error for end, error in errors_of_skips(plan, v))
    assert expected_error(plan, table.products.mean, table.growth.to_end, D) == pytest.approx(truth, rel=1e-3)
    assert truth > 1e-6


@pytest.mark.parametrize("integrator", list(Integrator))
def test_the_expected_error_is_the_mean_over_many_generations(integrator):
    table = TrajectoryTable.empty(STEPS, "g")
    for seed in range(40):
        table.add_run(products(velocities(seed)))
    plan = draw_up(EVALUATED, integrator, table.products.mean, S)
    each = [
        sum(table.growth.to_end[end] ** 2 * error for end, error in errors_of_skips(plan, velocities(seed)))
        for seed in range(40)
    ]
    assert expected_error(plan, table.products.mean, table.growth.to_end, D) == pytest.approx(np.mean(each), rel=1e-3)


def test_no_prediction_is_expected_to_miss_by_less_than_float32_rounds_off():
    constant = np.full((STEPS, STEPS), 4.0)  # which a line foresees exactly
    plan = draw_up(EVALUATED, Integrator.LINE, constant, S)
    assert [foreseen_error(plan, constant, step) for step in plan.foresee] == [pytest.approx(4e-10)] * len(plan.foresee)


def test_every_step_is_expected_to_err_by_nothing():
    table = TrajectoryTable.empty(STEPS, "g")
    table.add_run(MEAN)
    assert expected_error(every_step(STEPS), MEAN, table.growth.to_end, D) == 0


@pytest.mark.parametrize("integrator", list(Integrator))
def test_a_foreseen_error_comes_true_at_the_evaluation(integrator):
    v, plan, seen = velocities(0), drawn(integrator), Sightings()
    planned(of_steps(torch.from_numpy(v)), torch.zeros(1, 200), SIGMAS, plan, seen)
    misses = dict(seen.misses(plan))
    assert misses == {step: pytest.approx(foreseen_error(plan, MEAN, step), rel=1e-3) for step in (4, 8)}
    known, table = TrajectoryTable.empty(STEPS, "g"), TrajectoryTable.empty(STEPS, "g")
    known.add_run(MEAN)
    learn_misses([table], plan, seen, known, MEAN)
    assert table.misses.count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]
    assert table.misses.log_sum == pytest.approx(np.zeros(STEPS), abs=1e-3), "as expected"
    known.misses.count[4] = TOLD
    learn_misses([table], plan, seen, known, MEAN)
    assert table.misses.count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 2, 0], "enough was told of step 4"
