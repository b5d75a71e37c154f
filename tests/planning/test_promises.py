"""A fidelity is promised where audits assure it, by the boldest plan that holds it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_books import FIRST, audited, book

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.planning.promise import Promise


def kept(audits: dict[tuple[str, int], list[float]], fidelity_db: float, confidence: float = 0.95) -> int:
    """The evaluations of the plan that is kept; all 30 where none is."""
    offer = Promise(book(30, table=audited(30, audits)), fidelity_db, confidence).served
    return 30 if offer is None else offer.plan.evaluations


def test_a_fidelity_is_promised_once_a_few_audits_lie_far_enough_above_it():
    assert kept({(FIRST.name, 15): [80.0] * (FEWEST_TO_ASSURE - 1)}, 40.0) == 30
    assert kept({(FIRST.name, 15): [80.0] * FEWEST_TO_ASSURE}, 40.0) == 16
    assert kept({(FIRST.name, 15): [80.0] * FEWEST_TO_ASSURE}, 75.0) == 30
    assert kept({(FIRST.name, 15): [85.0, 82.0, 30.0, 84.0, 81.0]}, 40.0) == 30, "one failure tells of a wide spread"


def test_of_many_audits_the_ranks_tell():
    one_worse = [*[45.0] * 38, 30.0]
    assert kept({(FIRST.name, 15): one_worse}, 44.0) == 16
    assert kept({(FIRST.name, 15): [*one_worse, 30.0]}, 44.0) == 30
    assert kept({(FIRST.name, 15): [*one_worse, 30.0]}, 44.0, 0.9) == 16


def test_it_is_proven_by_ranks_alone():
    def promise(audits: int) -> Promise:
        return Promise(book(30, table=audited(30, {(FIRST.name, 15): [70.0] * audits})), 40.0, 0.95)

    assert [promise(audits).is_proven for audits in (1, FEWEST_TO_ASSURE, 38, 39)] == [False, False, False, True]


def test_the_boldest_budget_that_holds_is_taken():
    audits = {(FIRST.name, 15): [50.0] * 39, (FIRST.name, 8): [45.0] * 39, (FIRST.name, 5): [30.0] * 39}
    assert [kept(audits, db) for db in (25.0, 40.0, 47.0, 55.0)] == [5, 8, 16, 30]


def test_of_two_candidates_the_one_that_is_assured_to_keep_more_is_taken():
    line = next(candidate for candidate in CANDIDATES if candidate.name == "line")
    audits = {(FIRST.name, 8): [55.0, 75.0] * 20, ("line", 8): [60.0, 80.0] * 20}
    offer = Promise(book(30, table=audited(30, audits)), 44.0, 0.95).served
    assert (offer.candidate, offer.plan.evaluations) == (line, 8)
    few = {**audits, ("line", 8): [60.0, 80.0] * 3}
    assert Promise(book(30, table=audited(30, few)), 44.0, 0.95).served.candidate == FIRST


def test_a_plan_that_is_proven_is_rather_taken_than_one_that_is_supposed_to_keep_more():
    audits = {(FIRST.name, 8): [55.0, 75.0] * 20, ("line", 8): [90.0] * FEWEST_TO_ASSURE}
    promise = Promise(book(30, table=audited(30, audits)), 50.0, 0.95)
    assert (promise.served.candidate, promise.is_proven) == (FIRST, True)


def test_whoever_never_fails_is_better_than_who_keeps_more_on_average():
    audits = {(FIRST.name, 8): [90.0, 90.0, 90.0, 90.0, 90.0, 30.0], ("line", 8): [68.0] * 6}
    offer = Promise(book(30, table=audited(30, audits)), 30.0, 0.95).served
    assert (offer.candidate.name, offer.plan.evaluations) == ("line", 8)


def test_a_promise_is_not_lost_for_one_who_may_be_better_but_has_too_few_audits_yet():
    audits = {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE, ("line", 8): [95.0] * 3}
    assert Promise(book(30, table=audited(30, audits)), 30.0, 0.95).served.candidate == FIRST


def test_what_is_assured_is_promised_to_the_last_decibel():
    plans = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * 39}))
    promise = Promise(plans, 45.0, 0.95)
    assert promise.assured_db(FIRST, boldness_of(30, 16)) == 45
    assert promise.served.plan.evaluations == 16
    assert Promise(plans, 45.01, 0.95).served is None
    assert promise.assured_db(FIRST, boldness_of(30, 8)) == -math.inf, "nobody tried that"


def test_the_path_that_was_audited_is_walked_though_the_planner_would_take_another_by_now():
    table = audited(30, {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE})
    path = (0, 1, 3, 6, 10, 15, 21, 28)
    assert Promise(book(30, table=table), 40.0, 0.95).served.plan.evaluated != path
    table.audits.note(FIRST.name, boldness_of(30, 8), 60.0, path=path)
    assert Promise(book(30, table=table), 40.0, 0.95).served.plan.evaluated == path


@pytest.mark.parametrize("path", [(0, 1, 3, 6, 10, 15, 21, 30), (1, 2, 3, 6, 10, 15, 21, 28)])
def test_a_path_that_no_plan_may_take_is_not_walked(path):
    """Of a damaged file, say."""
    table = audited(30, {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE})
    table.audits.note(FIRST.name, boldness_of(30, 8), 60.0, path=path)
    plans = book(30, table=table)
    assert Promise(plans, 40.0, 0.95).served == plans.offer(FIRST, 8)


def test_nothing_is_promised_of_what_nobody_tried():
    assert Promise(book(30), 1.0, 0.5).served is None
    assert Promise(book(4, (2,)), 1.0, 0.5).served is None


audits_of_thirty = st.dictionaries(
    st.tuples(st.sampled_from([FIRST.name, "line"]), st.sampled_from([4, 7, 12, 20])),
    st.lists(st.integers(20, 70).map(float), min_size=3, max_size=45),
    max_size=4,
)


@settings(max_examples=25)
@given(audits_of_thirty, st.floats(10, 80), st.floats(10, 80), st.floats(0.3, 0.99), st.floats(0.3, 0.99))
def test_asking_for_more_or_more_surely_never_evaluates_less(audits, db, other_db, surely, more_surely):
    (low, high), (less, more) = sorted((db, other_db)), sorted((surely, more_surely))
    assert kept(audits, low, less) <= kept(audits, high, less)
    assert kept(audits, low, less) <= kept(audits, low, more)
    promise = Promise(book(30, table=audited(30, audits)), low, less)
    if (offer := promise.served) is not None:
        assert promise.assured_db(offer.candidate, boldness_of(30, offer.plan.evaluations)) >= low


def test_how_much_other_plans_scatter_tells_what_few_audits_of_one_are_worth():
    own = {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE}
    alike = {("line", budget): [50.0, 52.0] * 20 for budget in (16, 8)}
    scattered = {("line", budget): [40.0, 62.0] * 20 for budget in (16, 8)}
    assert (kept(own | alike, 50.0), kept(own | scattered, 50.0)) == (8, 30)


def test_where_any_plans_video_fell_few_audits_assure_less():
    own = {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE}
    other = {("line", 8): [60.0] * 30}
    fallen = {("hold", 15): [60.0, 60.0, 60.0, 5.0]}
    steady, warned = (Promise(book(30, table=audited(30, own | other | more)), 40.0, 0.95) for more in ({}, fallen))
    assert (steady.may_fall, warned.may_fall) == (False, True)
    assert warned.assured_db(FIRST, boldness_of(30, 8)) < steady.assured_db(FIRST, boldness_of(30, 8)) - 1
