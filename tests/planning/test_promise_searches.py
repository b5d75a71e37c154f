"""An audit tries what might keep a promise by fewer evaluations: bolder while it holds, by halves from there."""

from __future__ import annotations

from plan_books import FIRST, audited, book

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_ladder import PromiseLadder
from fastflow_ray.planning.promise_search import PromiseSearch

HELD, FAILED = [75.0] * 3, [10.0] * 3


def promise(audits: dict[tuple[str, int], list[float]], fidelity_db: float = 40.0) -> Promise:
    return Promise(book(30, table=audited(30, audits)), fidelity_db, 0.95)


def search(audits: dict[tuple[str, int], list[float]], fidelity_db: float = 40.0) -> PromiseSearch:
    return PromiseSearch(promise(audits, fidelity_db))


def walked(audits: dict[tuple[str, int], list[float]]) -> list[tuple[str, int]]:
    """Whom an audit walks at how many evaluations."""
    return [(offer.candidate.name, offer.plan.evaluations) for offer in search(audits).worth_walking()]


def test_where_nothing_can_be_skipped_nothing_is_tried():
    nothing = PromiseSearch(Promise(book(4, (2,)), 1.0, 0.5))
    assert (nothing.probed_budget, nothing.audits_of_leader, nothing.short_of_assured, nothing.worth_walking()) == (
        None,
        0,
        0,
        [],
    )


def test_it_goes_to_bolder_budgets_while_they_are_foretold_to_do_and_back():
    assert search({}).probed_budget == 13
    assert search({(FIRST.name, 13): HELD}).probed_budget == 9
    failed_once = {(FIRST.name, 13): HELD, (FIRST.name, 9): FAILED}
    assert search(failed_once).probed_budget == 11, "between what held and what did not"
    assert search({(FIRST.name, 13): HELD, (FIRST.name, 11): FAILED}).probed_budget == 13


def test_one_audit_far_above_is_enough_to_try_a_bolder_budget_and_one_just_above_is_not():
    assert search({(FIRST.name, 13): [75.0]}).probed_budget == 9
    assert search({(FIRST.name, 13): [45.0]}).probed_budget == 13


def test_what_is_foretold_to_be_kept_lacks_the_audits_a_promise_needs():
    found = {(FIRST.name, 13): [75.0] * (FEWEST_TO_ASSURE - 1), (FIRST.name, 11): FAILED}
    assert (search(found).audits_of_leader, search(found).short_of_assured) == (FEWEST_TO_ASSURE - 1, 1)
    assert search({(FIRST.name, 13): HELD}).short_of_assured == 0, "nobody tried what is probed next"
    assert search(found, 130.0).short_of_assured == 0, "nothing has kept as much"


def test_the_first_audit_walks_everyone_and_the_first_candidate_on_the_rungs_beside():
    first, *rest = walked({})
    assert first == (FIRST.name, 13)
    assert {name for name, budget in rest if budget == 13} == {each.name for each in CANDIDATES[1:]}
    assert {(name, budget) for name, budget in rest if budget != 13} == {
        (FIRST.name, 16),
        (FIRST.name, 11),
        (CANDIDATES[1].name, 11),
    }


def test_a_later_audit_walks_the_best_and_who_was_heard_least_of_those_that_could_be_better():
    heard = {(FIRST.name, 13): [45.0, 45.0], (CANDIDATES[1].name, 13): [44.0], ("line", 13): [1.0] * 3}
    assert [name for name, budget in walked(heard) if budget == 13] == [FIRST.name, CANDIDATES[2].name]
    assert "line" not in {name for name, _ in walked(heard)}


def test_the_boldest_rung_that_is_foretold_to_keep_it_is_the_nearest_to_a_promise():
    milder = {(FIRST.name, 23): [85.0] * 3, (FIRST.name, 19): [75.0] * 3, (FIRST.name, 16): [45.0] * 3}
    assert [budget for name, budget in walked(milder) if name == FIRST.name] == [13, 19, 11]


def test_where_nothing_is_foretold_yet_the_next_rung_below_is_walked_too():
    assert [budget for name, budget in walked({(FIRST.name, 13): [45.0]}) if name == FIRST.name] == [13, 16, 11]


def test_a_rung_that_failed_for_one_is_tried_by_another():
    failed_above = {(FIRST.name, 13): HELD, (FIRST.name, 11): FAILED}
    assert {name for name, budget in walked(failed_above) if budget == 11} == {FIRST.name, CANDIDATES[1].name}


def test_whoever_never_fails_is_tried_on_rather_than_who_keeps_more_on_average():
    risky = {(FIRST.name, 13): [90.0, 90.0, 20.0, 20.0]}
    assert search(risky).probed_budget == 23
    steady = {(name, 13): [62.0, 63.0, 61.0, 62.0] for name in ("line", "hold")}
    assert search(risky | steady).probed_budget == 9, "by one of these it holds"


def test_who_speaks_for_a_rung_is_foretold_to_keep_it_and_was_heard_most():
    may_be_better = {(FIRST.name, 8): [60.0] * FEWEST_TO_ASSURE, ("line", 8): [95.0] * 3}
    ladders = [PromiseLadder(promise(may_be_better, db)) for db in (30.0, 55.0)]
    assert [ladder.leader(boldness_of(30, 8)).name for ladder in ladders] == [FIRST.name, "line"]


def test_a_rung_that_is_too_bold_for_one_is_not_given_up_before_it_is_for_whoever_could_be_as_good():
    fails_now_and_then = {(FIRST.name, 13): [75.0] * 20 + [39.0] * 3}
    assert search(fails_now_and_then).probed_budget == 23
    assert search(fails_now_and_then | {("adams", 13): [70.0, 70.0]}).probed_budget == 13
    assert search(fails_now_and_then | {("adams", 13): [45.0, 45.0]}).probed_budget == 23, "falls behind"


def test_the_least_bold_rung_has_one_beside_it():
    everything_fails = {(FIRST.name, budget): FAILED for budget in (29, 27, 23, 19, 16)}
    assert [budget for name, budget in walked(everything_fails) if name == FIRST.name] == [29, 27]


def test_it_is_open_while_fewer_evaluations_could_do():
    kept = [80.0] * FEWEST_TO_ASSURE
    assert not search({}).is_open, "nothing is kept yet"
    assert search({(FIRST.name, 16): kept}).is_open
    assert not search({(FIRST.name, 16): kept, (FIRST.name, 13): FAILED}).is_open
