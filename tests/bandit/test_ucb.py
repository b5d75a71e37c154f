"""The choice among arms, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.ucb import pull

NAN = float("nan")


def choose(values, pulls, gamma=2.0) -> int:
    return pull(np.array(values), np.array(pulls), gamma)


@pytest.mark.parametrize(
    ("values", "pulls", "first"),
    [
        ([NAN, NAN, NAN], [0, 0, 0], 0),
        ([9.0, NAN, NAN], [5, 0, 0], 1),
        ([9.0, 1.0, NAN], [5, 1, 0], 2),
        ([9.0, NAN, 1.0], [5, 0, 1], 1),
    ],
)
def test_every_arm_is_pulled_once_first_in_its_order(values, pulls, first):
    assert choose(values, pulls) == first


def test_the_bound_by_hand():
    """n = 9: bounds 1.0 + 2·sqrt(ln 9 / 8) = 2.05, 0.0 + 2·sqrt(ln 9 / 1) = 2.96."""
    assert choose([1.0, 0.0], [8, 1]) == 1
    assert choose([1.0, 0.0], [8, 1], gamma=0.5) == 0  # 1.26 and 0.74
    switch = 1 / (math.sqrt(math.log(9)) - math.sqrt(math.log(9) / 8))
    assert choose([1.0, 0.0], [8, 1], gamma=switch * 0.999) == 0
    assert choose([1.0, 0.0], [8, 1], gamma=switch * 1.001) == 1


def test_without_exploration_the_best_value_wins_and_ties_go_to_the_shorter_skip():
    assert choose([0.1, 0.3, 0.2], [1, 1, 1], gamma=0.0) == 1
    assert choose([0.3, 0.3, 0.2], [4, 4, 4]) == 0


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(1, 50)), min_size=1, max_size=6))
def test_the_same_numbers_give_the_same_choice(arms):
    values, pulls = zip(*arms, strict=True)
    assert choose(values, pulls) == choose(values, pulls) < len(arms)
