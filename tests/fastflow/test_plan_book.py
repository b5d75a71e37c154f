"""Every plan that can be drawn up: for any budget, around a change of network, and what is shown to keep a fidelity."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.bandit.audits import CONVINCING, boldness
from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Integrator, Weighing
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput
from fastflow_ray.learned_plan import every_step
from fastflow_ray.plan_book import FRUGAL, PlanBook
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan

FIRST = CANDIDATES[0]


@cache
def known(steps: int) -> TrajectoryTable:
    """What one full run teaches; to be copied before it is changed."""
    rng, t = np.random.default_rng(steps), np.linspace(0, 1, steps)[:, None]
    v = sum(rng.normal(size=80) / k * np.sin(k * t + rng.uniform(0, 6, 80)) for k in range(1, 7))
    table = TrajectoryTable.empty(steps, "g")
    table.add_run(v @ v.T / 80)
    return table


def book(steps: int, restarts: tuple[int, ...] = (), table: TrajectoryTable | None = None) -> PlanBook:
    return PlanBook(table or known(steps), flow_sigmas(steps, 3.0).double().numpy(), restarts)


def audited(steps: int, audits: dict[tuple[str, int], list[float]]) -> TrajectoryTable:
    """The same with audits of so many dB, by candidate and evaluations."""
    table, plans = TrajectoryTable.empty(steps, "g").merge(known(steps), "k"), book(steps)
    by_name = {candidate.name: candidate for candidate in CANDIDATES}
    for (name, evaluations), measured in audits.items():
        expected = plans.offer(by_name[name], evaluations).expected_db
        for db in measured:
            table.audits.note(name, boldness(steps, evaluations), expected, db)
    return table


def weighs(plan: Plan, step: int) -> list[int]:
    """The evaluations whose velocities the prediction of a skipped step is made of."""
    return [k for k in plan.evaluated if k < step][-len(plan.predict[step]) :]


@pytest.mark.parametrize("steps", [4, 5, 8, 30, 50, 100])
@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_any_budget_has_a_plan_of_just_so_many_evaluations(steps, candidate):
    plans = book(steps)
    assert plans.fewest == 2
    for evaluations in {*range(2, min(steps, 12) + 1, 1 + steps // 30), steps // 3, steps // 2, steps - 1, steps} - {1}:
        plan = plans.offer(candidate, evaluations).plan
        assert plan.evaluations == evaluations
        assert plan.steps == steps
        if candidate.emphasis is not None and evaluations * FRUGAL >= steps:
            assert plan.evaluated[:2] == (0, 1)


@pytest.mark.parametrize("weighing", list(Weighing))
def test_where_predictions_miss_more_than_expected_more_is_evaluated_unless_growth_weighs(weighing):
    table = TrajectoryTable.empty(50, "g").merge(known(50), "k")
    for step in range(30, 50):
        for _ in range(20):
            table.misses.add(step, 100.0)
    candidate = Candidate(Integrator.INTERPOLATE, 1.0, weighing)
    before, after = (plans.offer(candidate, 15).plan.evaluated for plans in (book(50), book(50, table=table)))
    late_before, late_after = (sum(step >= 30 for step in evaluated) for evaluated in (before, after))
    if weighing is Weighing.EARLY:
        assert late_after > late_before
    else:
        assert after == before


def test_velocities_respond_as_audits_saw_them_to_also_where_an_evaluation_is_added():
    table = TrajectoryTable.empty(50, "g").merge(known(50), "k")
    table.response.add(np.linspace(0, 0.8, 50), np.ones(50))
    plans = book(50, table=table)
    plan = plans.offer(FIRST, 15).plan
    skip = max(plan.skips, key=lambda skip: skip[1])
    more = plans.with_evaluation(plan, skip[0] + 1 + skip[1] // 2, FIRST)
    for each in (plan, more):
        sigmas, share = plans.sigmas, table.response.share
        assert each.respond == {step: pytest.approx(share[step] / sigmas[step]) for step in each.integrate}
    assert more.evaluations == plan.evaluations + 1
    assert book(50).offer(FIRST, 15).plan.respond == {}


@pytest.mark.parametrize(("steps", "restart"), [(4, 2), (5, 1), (8, 7), (30, 2), (50, 15), (100, 60)])
@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_where_another_network_takes_over_two_steps_are_evaluated_and_nothing_is_predicted_across(
    steps, restart, candidate
):
    plans = book(steps, (restart,))
    needed = {0, restart, min(restart + 1, steps - 1)}
    assert plans.fewest == len(needed | {1})
    for evaluations in {*range(plans.fewest, 8), steps // 3, steps - 1} & set(range(plans.fewest, steps)):
        plan = plans.offer(candidate, evaluations).plan
        assert plan.evaluations == evaluations
        assert needed <= set(plan.evaluated)
        assert restart not in plan.foresee
        assert restart not in plan.integrate
        for step in plan.predict:
            assert step < restart or min(weighs(plan, step)) >= restart


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_too_few_evaluations_are_refused_with_a_remedy(candidate):
    with pytest.raises(InvalidInput, match="ask for at least 4"):
        book(30, (10,)).offer(candidate, 3)
    with pytest.raises(InvalidInput, match="ask for at least 2"):
        book(30).offer(candidate, 1)


def test_only_who_interpolates_goes_again():
    for candidate in CANDIDATES:
        plan = book(30).offer(candidate, 10).plan
        again = (Integrator.INTERPOLATE, Integrator.HALFWAY, Integrator.ADAMS)
        assert bool(plan.integrate) == (candidate.integrator in again)


def test_where_nothing_is_known_or_saved_every_step_is_evaluated():
    nothing = book(8, table=TrajectoryTable.empty(8, "g"))
    assert nothing.plan(3) == every_step(8)
    assert not nothing.knows
    assert book(8).plan(8) == book(8).plan(9) == every_step(8)


def test_one_evaluation_more_leaves_what_came_before_it():
    for candidate in CANDIDATES:
        plans = book(30)
        plan = plans.offer(candidate, 8).plan
        start, skipped = max(plan.skips[:-1], key=lambda skip: skip[1])
        between = start + (skipped + 1) // 2
        more = plans.with_evaluation(plan, between, candidate)
        assert set(more.evaluated) == {*plan.evaluated, between}
        for ours, theirs in ((more.predict, plan.predict), (more.integrate, plan.integrate)):
            assert {k: w for k, w in ours.items() if k <= start} == {k: w for k, w in theirs.items() if k <= start}


# Who is served, and how few evaluations keep a fidelity


def test_whoever_was_measured_to_keep_most_is_served_near_that_budget():
    kept = {("line", 12): [50.0], (FIRST.name, 12): [40.0], ("hold", 24): [60.0], ("line", 24): [55.0]}
    table = audited(30, {cell: 8 * fidelities for cell, fidelities in kept.items()})
    plans = book(30, table=table)
    assert plans.served(12).name == plans.served(11).name == "line"
    assert plans.served(24).name == "hold"
    assert book(30).served(12) == FIRST


def test_the_expected_fidelity_is_what_was_measured():
    plans = book(30, table=audited(30, {(FIRST.name, 12): [40.0, 44.0]}))
    assert plans.fidelity_db(FIRST, 12) == pytest.approx(42, abs=0.5)
    assert plans.fidelity_db(CANDIDATES[1], 12) is None


def test_a_fidelity_is_promised_only_where_enough_audits_have_shown_it():
    few = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * (CONVINCING - 1)}))
    enough = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * CONVINCING}))
    one_worse = book(30, table=audited(30, {(FIRST.name, 15): [45.0] * CONVINCING + [30.0]}))
    assert [plans.fewest_within(40.0, 0.95) for plans in (few, enough, one_worse)] == [30, 16, 30]
    assert one_worse.fewest_within(40.0, 0.9) == 16
    assert enough.fewest_within(50.0, 0.95) == 30
    assert (few.assured_db(16, 0.95), few.assured_db(30, 0.95)) == (-math.inf, math.inf)
    assert enough.assured_db(15, 0.95) == pytest.approx(45, abs=0.5)
    assert enough.assured_db(14, 0.95) < enough.assured_db(16, 0.95)


def test_the_boldest_budget_that_holds_is_taken():
    audits = {(FIRST.name, 15): [50.0] * 20, (FIRST.name, 8): [45.0] * 20, (FIRST.name, 5): [30.0] * 20}
    plans = book(30, table=audited(30, audits))
    assert [plans.fewest_within(db, 0.95) for db in (25.0, 40.0, 47.0, 55.0)] == [5, 8, 16, 30]


def test_nothing_is_promised_of_what_nobody_tried():
    assert book(30).fewest_within(1.0, 0.5) == 30
    assert book(4, (2,)).fewest_within(1.0, 0.5) == 4
    assert book(4, (2,)).probe(1.0, 0.5) == 4


def test_what_kept_a_fidelity_so_far_lacks_the_audits_a_promise_needs():
    held = book(30, table=audited(30, {(FIRST.name, 16): [60.0] * 4, (FIRST.name, 11): [10.0] * 4}))
    assert held.probe(40.0, 0.95) == 13, "between what was kept and what was not"
    assert held.unproven(40.0, 0.95) == 0, "nobody tried that"
    found = book(30, table=audited(30, {(FIRST.name, 16): [60.0] * 4, (FIRST.name, 13): [10.0] * 4}))
    assert (found.probe(40.0, 0.95), found.unproven(40.0, 0.95), found.unproven(40.0, 0.99)) == (16, 15, 95)
    assert found.unproven(130.0, 0.95) == 0, "nothing has kept as much"
    assert book(4, (2,)).unproven(1.0, 0.5) == 0


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
    assert plans.fewest_within(low, less) <= plans.fewest_within(high, less)
    assert plans.fewest_within(low, less) <= plans.fewest_within(low, more)
    served = plans.fewest_within(low, less)
    assert plans.assured_db(served, less) >= low
