"""How far predictions miss: the excess, and the band of what is ordinary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastflow_ray.bandit.misses import BAND, Misses
from fastflow_ray.bandit.per_step import NEARBY

STEPS = 5


def test_before_any_miss_the_band_is_two_spreads_of_three():
    assert Misses.empty(STEPS).band(2) == pytest.approx(3**BAND)


def test_a_band_follows_what_was_seen_and_says_nothing_of_other_steps():
    misses = Misses.empty(STEPS)
    for _ in range(4000):
        misses.add(2, 10.0)
        misses.add(2, 1000.0)
    assert math.log10(misses.band(2)) == pytest.approx(2 + BAND, abs=0.02)  # mean 2, deviation 1, in decades
    assert misses.band(3) == Misses.empty(STEPS).band(3)


def test_steady_predictions_narrow_the_band():
    misses = Misses.empty(STEPS)
    bands = [misses.band(2)]
    for _ in range(30):
        misses.add(2, 1.0)
        bands.append(misses.band(2))
    assert bands == sorted(bands, reverse=True)
    assert 1 < bands[-1] < 0.5 * bands[0]


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_a_miss_that_is_no_ratio_teaches_nothing(ratio):
    misses = Misses.empty(STEPS)
    misses.add(2, ratio)
    assert misses.to_dict() == Misses.empty(STEPS).to_dict()


def test_before_any_miss_errors_are_as_expected():
    assert Misses.empty(STEPS).excess == pytest.approx(np.ones(STEPS + 1))


def test_the_excess_is_the_mean_logarithm_of_the_misses_with_one_as_expected_among_them():
    misses = Misses.empty(STEPS)
    misses.add(2, 4.0)
    assert misses.excess[2] == pytest.approx(2)
    misses.add(2, 16.0)
    assert misses.excess[2] == pytest.approx(4)
    for _ in range(2000):
        misses.add(2, 10.0)
    assert misses.excess_db[2] == pytest.approx(10, abs=0.02)


def test_where_nothing_was_seen_the_neighbours_tell_of_the_excess_and_at_the_end_the_last():
    misses = Misses.empty(STEPS)
    misses.add(4, 4.0)
    seen = NEARBY ** np.array([4, 3, 2, 1, 0, 1])
    assert misses.excess == pytest.approx(4 ** (seen / (seen + 1)))
    misses.add(0, 0.25)
    assert misses.excess[0] < 1 < misses.excess[4]
    assert misses.excess[2] == pytest.approx(1), "as far from the one as from the other"


def test_predictions_that_never_missed_are_not_taken_to_be_perfect():
    misses = Misses.empty(STEPS)
    for _ in range(50):
        misses.add(2, 1e-9)
    assert misses.excess_db[2] == pytest.approx(-6, abs=0.03)


def test_however_much_its_neighbours_saw_a_step_believes_what_it_saw_itself():
    misses = Misses.empty(STEPS)
    for _ in range(5000):
        misses.add(2, 1.0)
    for _ in range(20):
        misses.add(4, 30.0)
    assert misses.excess_db[4] == pytest.approx(10 * math.log10(30), rel=0.1)
