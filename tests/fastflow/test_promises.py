"""A fidelity is promised where audits have shown it, of the boldest budget that holds it, and looked for by halves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_books import FIRST, audited, book

from fastflow_ray.bandit.audits import CONVINCING
from fastflow_ray.promise import Promise


def test_a_fidelity_is_promised_only_where_enough_audits_have_shown_it():
    few = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * (CONVINCING - 1)}))
    enough = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * CONVINCING}))
    one_worse = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * CONVINCING + [30.0]}))
    assert [Promise(plans, 40.0, 0.95).fewest() for plans in (few, enough, one_worse)] == [30, 16, 30]
    assert Promise(one_worse, 40.0, 0.9).fewest() == 16
    assert Promise(enough, 50.0, 0.95).fewest() == 30
    assert (few.assured_db(16, 0.95), few.assured_db(30, 0.95)) == (-math.inf, math.inf)
    assert enough.assured_db(15, 0.95) == pytest.approx(45, abs=0.5)
    assert enough.assured_db(14, 0.95) < enough.assured_db(16, 0.95)


def test_the_boldest_budget_that_holds_is_taken():
    audits = {(FIRST.name, 15): [50.0] * 20, (FIRST.name, 8): [45.0] * 20, (FIRST.name, 5): [30.0] * 20}
    plans = book(30, table=audited(30, audits))
    assert [Promise(plans, db, 0.95).fewest() for db in (25.0, 40.0, 47.0, 55.0)] == [5, 8, 16, 30]


def test_what_is_assured_is_promised_to_the_last_decibel():
    plans = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * CONVINCING}))
    assured_db = plans.assured_db(16, 0.95)
    assert Promise(plans, assured_db, 0.95).fewest() == 16
    assert Promise(plans, assured_db + 0.01, 0.95).fewest() == 30


def test_nothing_is_promised_of_what_nobody_tried():
    assert Promise(book(30), 1.0, 0.5).fewest() == 30
    assert Promise(book(4, (2,)), 1.0, 0.5).fewest() == 4
    assert Promise(book(4, (2,)), 1.0, 0.5).probe() == 4


def test_what_kept_a_fidelity_so_far_lacks_the_audits_a_promise_needs():
    held = book(30, table=audited(30, {(FIRST.name, 16): [60.0] * 4, (FIRST.name, 11): [10.0] * 4}))
    assert Promise(held, 40.0, 0.95).probe() == 13, "between what was kept and what was not"
    assert Promise(held, 40.0, 0.95).unproven() == 0, "nobody tried that"
    found = book(30, table=audited(30, {(FIRST.name, 16): [60.0] * 4, (FIRST.name, 13): [10.0] * 4}))
    sure, surer = Promise(found, 40.0, 0.95), Promise(found, 40.0, 0.99)
    assert (sure.probe(), sure.unproven(), surer.unproven()) == (16, 15, 95)
    assert Promise(found, 130.0, 0.95).unproven() == 0, "nothing has kept as much"
    assert Promise(book(4, (2,)), 1.0, 0.5).unproven() == 0


audits_of_thirty = st.dictionaries(
    st.tuples(st.sampled_from([FIRST.name, "line"]), st.sampled_from([4, 7, 12, 20])),
    st.lists(st.integers(20, 70).map(float), min_size=15, max_size=25),
    max_size=4,
)


@settings(max_examples=25)
@given(audits_of_thirty, st.floats(10, 80), st.floats(10, 80), st.floats(0.3, 0.99), st.floats(0.3, 0.99))
def test_asking_for_more_or_more_surely_never_evaluates_less(audits, db, other_db, surely, more_surely):
    plans = book(30, table=audited(30, audits))
    (low, high), (less, more) = sorted((db, other_db)), sorted((surely, more_surely))
    assert Promise(plans, low, less).fewest() <= Promise(plans, high, less).fewest()
    assert Promise(plans, low, less).fewest() <= Promise(plans, low, more).fewest()
    served = Promise(plans, low, less).fewest()
    assert plans.assured_db(served, less) >= low
