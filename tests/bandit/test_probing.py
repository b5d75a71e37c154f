"""Which budget an audit tries: bolder while nothing fails, then between what failed and what did not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.probing import BEGIN, TELLING, Tried, next_rung

RUNGS = range(16)


def test_it_begins_a_little_bolder_than_with_half_of_the_steps_or_with_what_is_nearest():
    assert next_rung(RUNGS, {}, 0.95) == BEGIN
    assert next_rung([0, 1, 3], {}, 0.95) == 3


def test_two_failures_are_too_bold_one_is_not_told_yet():
    assert next_rung(RUNGS, {BEGIN: Tried(2, 1)}, 0.95) == BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(2, 2)}, 0.95) < BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(40, 2)}, 0.95) == BEGIN, "as rare as allowed"
    assert next_rung(RUNGS, {BEGIN: Tried(40, 2, foretold=True)}, 0.95) > BEGIN


def test_it_is_not_bolder_before_this_is_foretold_to_be_kept():
    assert next_rung(RUNGS, {BEGIN: Tried(1, 0)}, 0.95) == BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(1, 0, foretold=True)}, 0.95) == BEGIN + 2


def test_a_spread_tells_long_before_the_second_failure():
    assert next_rung(RUNGS, {BEGIN: Tried(TELLING, 0, headroom=1.6)}, 0.95) < BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(TELLING, 0, headroom=1.7)}, 0.95) == BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(TELLING, 0, headroom=1.6)}, 0.9) == BEGIN
    assert next_rung(RUNGS, {BEGIN: Tried(TELLING - 1, 0, headroom=1.6)}, 0.95) == BEGIN, "too few to have a spread"


def test_what_is_foretold_to_be_kept_is_not_too_bold():
    """Ranks may tell so where mean and spread would not."""
    assert not Tried(39, 1, headroom=0.2, foretold=True).is_too_bold(0.95)
    assert Tried(39, 1, headroom=0.2).is_too_bold(0.95)


def test_where_everything_fails_it_ends_at_the_least_bold():
    assert next_rung(RUNGS, dict.fromkeys(RUNGS, Tried(5, 5)), 0.95) == 0


@given(st.integers(0, 15), st.sampled_from([0.8, 0.95]))
def test_it_finds_the_boldest_that_holds_and_stays(boldest, confidence):
    tried: dict[int, Tried] = {}
    path = []
    for _ in range(60):
        rung = next_rung(RUNGS, tried, confidence)
        before = tried.get(rung, Tried())
        tried[rung] = Tried(before.audits + 1, before.failures + (rung > boldest), foretold=rung <= boldest)
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


def test_a_rung_in_doubt_waits_for_milder_ones():
    """Its audits may tell neither for good."""
    between = {0: Tried(30, 0, foretold=True), 4: Tried(2, 2)}
    assert next_rung(range(5), between, 0.95) == 2
    in_doubt = between | {2: Tried(TELLING, 0, headroom=1.7)}
    assert next_rung(range(5), in_doubt, 0.95) == 1
    assert next_rung(range(5), in_doubt | {1: Tried(TELLING, 0, headroom=1.7)}, 0.95) == 2
    assert next_rung(range(5), in_doubt | {1: Tried(TELLING, 0, foretold=True)}, 0.95) == 3
    bolder = {0: Tried(30, 0, foretold=True), 2: Tried(TELLING, 0, headroom=1.7)}
    assert next_rung(range(5), bolder, 0.95) == 1
    assert next_rung(range(5), bolder | {1: Tried(TELLING, 0, headroom=1.7)}, 0.95) == 2
    soon = {1: Tried(TELLING - 1, 0, foretold=True), 2: Tried(TELLING, 0), 3: Tried(TELLING, 0)}
    assert next_rung(range(5), soon, 0.95) == 1, "it is nearly shown to be kept"
    assert next_rung(range(5), soon | {1: Tried(TELLING, 0, foretold=True)}, 0.95) == 3
