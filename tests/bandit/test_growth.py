"""How deviations grow: audits and the law before them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastflow_ray.bandit.growth import Growth, growth_prior
from fastflow_ray.errors import InvalidInput

STEPS = 5


def test_before_any_audit_early_deviations_are_taken_to_outgrow_late_ones_eightfold():
    to_end = Growth.empty(50).to_end
    assert to_end == pytest.approx(growth_prior(50))
    assert to_end[[0, 25, 50]] == pytest.approx([8, math.sqrt(8), 1])


def test_one_audit_weighs_as_much_as_the_prior_and_many_overrule_it():
    growth = Growth.empty(STEPS)
    growth.add(np.log([4.0, 1, 1, 1, 1]), np.full(STEPS, True))
    prior = growth_prior(STEPS)
    assert growth.to_end[1:] == pytest.approx(np.sqrt(prior[1:]))
    assert growth.to_end[0] == pytest.approx(np.sqrt(4 * prior[0]))
    for _ in range(2000):
        growth.add(np.log([4.0, 0.5, 1, 1, 1]), np.full(STEPS, True))
    assert growth.to_end == pytest.approx([2, 0.5, 1, 1, 1, 1], rel=1e-2)


def test_steps_an_audit_did_not_measure_keep_what_they_knew():
    growth = Growth.empty(STEPS)
    growth.add(np.array([np.nan, np.nan, 0.7, np.nan, np.nan]), np.arange(STEPS) == 2)
    prior = growth_prior(STEPS)
    factors = growth.to_end[:-1] / growth.to_end[1:]
    expected = prior[:-1] / prior[1:]
    expected[2] = np.sqrt(expected[2] * np.exp(0.7))
    assert factors == pytest.approx(expected)
    assert growth.count.tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("log_growth", "known"),
    [
        (np.zeros(STEPS + 1), np.full(STEPS, True)),
        (np.zeros(STEPS), np.full(STEPS - 1, True)),
        (np.zeros(STEPS), np.ones(STEPS)),
        (np.full(STEPS, np.nan), np.full(STEPS, True)),
        (np.full(STEPS, -np.inf), np.full(STEPS, True)),
    ],
)
def test_a_growth_that_was_not_measured_is_refused(log_growth, known):
    growth = Growth.empty(STEPS)
    with pytest.raises(InvalidInput):
        growth.add(log_growth, known)
    assert growth.to_dict() == Growth.empty(STEPS).to_dict()
