"""How many audits a fleet lacks that promised a fidelity: those that assure the promise, and those that better it."""

from __future__ import annotations

import copy

import pytest
from plan_books import known

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES, FEWEST_TO_RULE_OUT
from fastflow_ray.planning.audit_need import NEW_BUDGET_SHARE, Need, audit_need
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.planning.promise import Promise
from fastflow_ray.planning.promise_search import PromiseSearch
from fastflow_ray.sampling.grid import flow_sigmas

STEPS, KEPT, BOLDER = 8, 4, 3
RUNS = 31  # of which a young key's plans would be heard 1 + log2(32) = 6 times
PROVEN = 39  # audits that assure 95 % by their ranks


def lacking(audits: int, failed: int, fell: bool = False) -> float:
    """After so many audits that kept 80 dB at four evaluations and failures at three; 20 dB are promised. `fell`:
    another plan had a video fall."""
    table = copy.deepcopy(known(STEPS))
    for measured_db in [80.0, 80.0, 80.0, 1.0] if fell else []:
        table.audits.note(CANDIDATES[-1].name, boldness_of(STEPS, KEPT), measured_db)
    for budget, count, measured_db in ((KEPT, audits, 80.0), (BOLDER, failed, 1.0)):
        for _ in range(count):
            table.audits.note(CANDIDATES[0].name, boldness_of(STEPS, budget), measured_db)
    table.runs, table.audit_evaluations = RUNS, 10_000  # no share of the work is left
    promise = Promise(PlanBook(table, flow_sigmas(STEPS, 3.0).double().numpy()), 20.0, 0.95)
    assert promise.served is not None
    assert promise.served.plan.evaluations == KEPT
    return audit_need(table, PromiseSearch(promise), promise.served).audits


@pytest.mark.parametrize("audits", [FEWEST_TO_ASSURE, FEWEST_TO_ASSURE + 4])
def test_what_few_audits_assure_is_heard_twice_as_often_as_a_key(audits: int):
    assert lacking(audits, failed=2) == 2 * 6 - audits


@pytest.mark.parametrize("audits", [FEWEST_TO_ASSURE + 2, FEWEST_TO_ASSURE + 4])
def test_where_videos_fall_it_is_heard_three_times_as_often(audits: int):
    assert lacking(audits, failed=2, fell=True) == 3 * 6 - audits


@pytest.mark.parametrize(("failed", "more"), [(0, True), (2, False)])
def test_what_could_keep_a_proven_promise_by_less_is_heard_as_often_as_a_young_key(failed: int, more: bool):
    assert lacking(PROVEN, failed) == 6 if more else lacking(PROVEN, failed) < 1


@pytest.mark.parametrize(("heard", "is_new"), [(0, True), (FEWEST_TO_RULE_OUT - 1, True), (FEWEST_TO_RULE_OUT, False)])
def test_a_budget_is_heard_now_and_then_until_audits_decide_who_serves_it(heard: int, is_new: bool):
    table = copy.deepcopy(known(STEPS))
    for budget, count in ((KEPT, 6), (BOLDER, heard)):
        for _ in range(count):
            table.audits.note(CANDIDATES[0].name, boldness_of(STEPS, budget), 40.0)
    table.runs, table.audit_evaluations = RUNS, 10_000
    plans = PlanBook(table, flow_sigmas(STEPS, 3.0).double().numpy())
    asked, usual = (audit_need(table, None, plans.served(budget)) for budget in (BOLDER, KEPT))
    assert asked == (Need(1.0, NEW_BUDGET_SHARE) if is_new else usual)
    assert usual.audits < 1
