"""Which budget an audit tries: bolder while nothing fails, then between what failed and what did not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.probing import HALF, TELLING, Tried, next_rung

RUNGS = range(16)


def test_it_begins_with_half_of_the_steps_or_what_is_nearest():
    assert next_rung(RUNGS, {}, 0.95) == HALF
    assert next_rung([0, 1, 3], {}, 0.95) == 3


def test_two_failures_are_too_bold_one_is_not_told_yet():
    assert next_rung(RUNGS, {HALF: Tried(2, 1)}, 0.95) == HALF
    assert next_rung(RUNGS, {HALF: Tried(2, 2)}, 0.95) < HALF
    assert next_rung(RUNGS, {HALF: Tried(40, 2)}, 0.95) > HALF, "as rare as allowed"


def test_a_spread_tells_long_before_the_second_failure():
    assert next_rung(RUNGS, {HALF: Tried(TELLING, 0, headroom=1.6)}, 0.95) < HALF
    assert next_rung(RUNGS, {HALF: Tried(TELLING, 0, headroom=1.7)}, 0.95) > HALF
    assert next_rung(RUNGS, {HALF: Tried(TELLING, 0, headroom=1.6)}, 0.9) > HALF
    assert next_rung(RUNGS, {HALF: Tried(TELLING - 1, 0, headroom=1.6)}, 0.95) > HALF, "too few to have a spread"


def test_where_everything_fails_it_ends_at_the_least_bold():
    assert next_rung(RUNGS, dict.fromkeys(RUNGS, Tried(5, 5)), 0.95) == 0


@given(st.integers(0, 15), st.sampled_from([0.8, 0.95]))
def test_it_finds_the_boldest_that_holds_and_stays(boldest, confidence):
    tried: dict[int, Tried] = {}
    path = []
    for _ in range(60):
        rung = next_rung(RUNGS, tried, confidence)
        audits, failures, _ = tried.get(rung, Tried())
        tried[rung] = Tried(audits + 1, failures + (rung > boldest))
        path.append(rung)
    assert set(path[-19:]) == {boldest}


@given(st.dictionaries(st.sampled_from(RUNGS), st.tuples(st.integers(1, 40), st.integers(0, 40))), st.floats(0.1, 0.99))
def test_it_always_names_a_rung(counts, confidence):
    tried = {rung: Tried(max(pair), min(pair)) for rung, pair in counts.items()}
    assert next_rung(RUNGS, tried, confidence) in RUNGS


@pytest.mark.parametrize("rungs", [[0], [3], [0, 2]])
def test_few_rungs_are_enough(rungs):
    assert next_rung(rungs, {}, 0.95) in rungs
    assert next_rung(rungs, {rungs[0]: Tried(5, 5)}, 0.95) == rungs[0]
