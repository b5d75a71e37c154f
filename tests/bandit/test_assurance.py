"""What the next generation keeps at least: by ranks where audits are many, else by an assumption."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastflow_ray.bandit.assurance import (
    FEWEST_TO_ASSURE,
    FEWEST_TO_PROVE,
    STRICTNESS_AFTER_A_FALL,
    SUPPOSED_FREEDOM,
    SUPPOSED_SPREAD_DB,
    assured_db,
    common_spread_db,
    foretold_db,
    has_fallen,
    is_proven,
    student_quantile,
)

# Many


def test_it_is_the_rank_that_needs_no_assumption():
    seen = list(range(1, 40))
    assert assured_db(seen, 0.95) == 2  # ⌈0.95·40⌉-th largest
    assert assured_db(seen, 0.5) == 20


@pytest.mark.parametrize(
    ("confidence", "enough"), [(0.5, FEWEST_TO_PROVE), (0.9, FEWEST_TO_PROVE), (0.95, 39), (0.99, 199)]
)
def test_ranks_speak_once_one_of_the_audits_may_be_worse(confidence, enough):
    assert not is_proven(enough - 1, confidence)
    assert is_proven(enough, confidence)
    assert assured_db([10, *[50] * (enough - 2), 90], confidence) == 50
    assert assured_db([10, *[50] * (enough - 3), 90], confidence) < 50


# Few


def test_too_few_audits_assure_nothing():
    assert assured_db([50.0] * (FEWEST_TO_ASSURE - 1), 0.5) == -math.inf
    assert assured_db([50.0] * FEWEST_TO_ASSURE, 0.99) > -math.inf
    assert assured_db([], 0.5) == -math.inf


def test_what_is_foretold_by_fewer_orders_them():
    """Whoever was heard more, or is less scattered, comes first of those that keep as much."""
    foretold = [foretold_db(seen, 0.95) for seen in ([], [50.0], [50.0] * 2, [30.0, 70.0, *[50.0] * 3], [50.0] * 5)]
    assert foretold[0] == -math.inf
    assert foretold[1] < foretold[2] < foretold[4]
    assert foretold[3] < foretold[4]
    assert foretold_db([50.0] * FEWEST_TO_ASSURE, 0.95) == assured_db([50.0] * FEWEST_TO_ASSURE, 0.95)


def test_few_equal_audits_are_not_taken_for_a_spread_of_nothing():
    assert assured_db([50.0] * FEWEST_TO_ASSURE, 0.95) < 50 - SUPPOSED_SPREAD_DB


def test_the_more_audits_say_the_same_the_closer_is_what_they_assure():
    assured = [assured_db([50.0] * audits, 0.95) for audits in range(FEWEST_TO_ASSURE, 39)]
    assert assured == sorted(assured)


@given(st.lists(st.floats(0, 100), min_size=FEWEST_TO_ASSURE, max_size=38), st.floats(-30, 30))
def test_what_all_keep_more_the_next_does(seen, more):
    assume(not is_proven(len(seen), 0.95))
    assert assured_db([db + more for db in seen], 0.95) == pytest.approx(assured_db(seen, 0.95) + more, abs=1e-6)


def test_the_second_worst_that_was_seen_is_always_expected():
    assert assured_db([*[60.0] * 30, 20.0, 10.0], 0.5) <= 60
    assert assured_db([*[60.0] * 30, 20.0, 10.0], 0.95) <= 20


@pytest.mark.parametrize("audits", [FEWEST_TO_ASSURE, 10, 20, 38])
@pytest.mark.parametrize("spread_db", [3.0, 8.0, 10.0])
def test_of_normal_fidelities_the_next_falls_below_no_more_often_than_said(audits, spread_db):
    draws = np.random.default_rng(0).normal(50, spread_db, (4000, audits + 1))
    below = [following < assured_db(seen, 0.95, common_spread_db([seen])) for *seen, following in draws.tolist()]
    assert np.mean(below) <= 0.05


def test_a_video_that_came_out_closer_than_others_is_no_reason_for_doubt():
    assert assured_db([*[60.0] * 6, 120.0], 0.95) >= assured_db([60.0] * 6, 0.95)


def test_no_confidence_below_one_is_too_much_to_ask():
    assert -math.inf < assured_db([50.0] * FEWEST_TO_ASSURE, 1 - 2**-53) < assured_db([50.0] * FEWEST_TO_ASSURE, 0.999)


# What plans have in common


def test_before_any_plan_was_walked_twice_a_spread_is_supposed():
    assert common_spread_db([]) == common_spread_db([[50.0], [20.0]]) == SUPPOSED_SPREAD_DB
    after_six = math.sqrt(SUPPOSED_FREEDOM / (SUPPOSED_FREEDOM + 6)) * SUPPOSED_SPREAD_DB
    assert common_spread_db([[50.0] * 7]) == pytest.approx(after_six), "and forgotten after a few audits"


def test_what_plans_scatter_about_their_own_means_is_their_common_spread():
    draws = np.random.default_rng(0).normal(0, 3, (5, 400))
    plans = draws + np.array([[20], [35], [50], [65], [80]])
    assert common_spread_db(plans.tolist()) == pytest.approx(3, abs=0.3)


def test_one_plan_that_fails_altogether_now_and_then_is_not_taken_for_all():
    alike = [[60.0, 64.0, 62.0, 61.0]] * 4
    assert common_spread_db([*alike, [90.0, 20.0, 90.0, 10.0]]) == pytest.approx(common_spread_db(alike))
    often = common_spread_db([*alike, [90.0, 20.0] * 20])
    assert often < SUPPOSED_SPREAD_DB, "however often it was heard"


def test_plans_that_were_walked_on_the_same_videos_tell_no_more_than_one_of_them():
    seen = [40.0, 44.0, 41.0]
    assert common_spread_db([seen] * 9) == pytest.approx(common_spread_db([seen]))
    assert common_spread_db([seen * 3]) < common_spread_db([seen]) < SUPPOSED_SPREAD_DB


@given(st.lists(st.integers(0, 120), max_size=30), st.floats(1, 10), st.floats(1, 10))
def test_the_more_plans_scatter_the_less_is_assured(seen, one, other):
    assert assured_db(seen, 0.95, max(one, other)) <= assured_db(seen, 0.95, min(one, other))


# Falls


def test_what_lies_far_out_of_its_plans_spread_fell():
    assert has_fallen([60.0] * 5 + [27.0], 8.0)
    assert not has_fallen([60.0] * 5 + [28.0], 8.0), "four deviations"
    assert not has_fallen([60.0] * 5 + [99.0], 8.0), "up"
    assert not has_fallen([60.0, 10.0], 8.0), "of two, either may be the odd one"
    assert not has_fallen([], 8.0)


@given(st.lists(st.integers(0, 120), max_size=38), st.floats(0.5, 0.99))
def test_where_videos_fall_less_is_assured_by_few_audits(seen, confidence):
    fewer = assured_db(seen, confidence, strictness=STRICTNESS_AFTER_A_FALL)
    if is_proven(len(seen), confidence):
        assert fewer == assured_db(seen, confidence), "ranks assume nothing"
    else:
        assert fewer <= assured_db(seen, confidence)
    assert assured_db([60.0] * FEWEST_TO_ASSURE, 0.95, strictness=STRICTNESS_AFTER_A_FALL) < assured_db(
        [60.0] * FEWEST_TO_ASSURE, 0.95
    )


# Both


@given(st.lists(st.integers(0, 120), max_size=60), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_more_confidence_never_assures_more(seen, one, other):
    less, more = sorted((one, other))
    assert assured_db(seen, less) >= assured_db(seen, more)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_next_one_falls_below_no_more_often_than_said(confidence):
    """Of fidelities with a heavy tail, as those of prompts that fall into another mode."""
    rng, below = np.random.default_rng(0), []
    for _ in range(2000):
        *seen, following = np.where(rng.random(31) < 0.1, 20, rng.integers(55, 66, 31)).tolist()
        below.append(following < assured_db(seen, confidence))
    assert np.mean(below) <= 1 - confidence + 0.02


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.9, 12, 1.356),
        (0.95, 12, 1.782),
        (0.975, 12, 2.179),
        (0.995, 12, 3.055),
        (0.9995, 12, 4.318),
        (0.975, 30, 2.042),
    ],
)
def test_the_quantiles_of_student_are_those_of_the_tables(probability, freedom, quantile):
    assert student_quantile(probability, freedom) == pytest.approx(quantile, abs=1e-3)
    assert student_quantile(1 - probability, freedom) == pytest.approx(-quantile, abs=1e-3)
