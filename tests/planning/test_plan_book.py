"""Every plan that can be drawn up: for any budget, around a change of network, and what it is expected to keep."""

from __future__ import annotations

import numpy as np
import pytest
from plan_books import FIRST, audited, book, known

from fastflow_ray.bandit.candidates import CANDIDATES, Candidate, Integrator, Weighing
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.bandit.velocity_prior import velocity_prior
from fastflow_ray.errors import InvalidInput
from fastflow_ray.planning.candidate_paths import FEW, SPARSE
from fastflow_ray.sampling.plan import Plan


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
        if candidate.emphasis is not None and evaluations * SPARSE >= steps:
            assert plan.evaluated[:2] == (0, 1)


@pytest.mark.parametrize("weighing", list(Weighing))
@pytest.mark.parametrize("runs", [FEW - 1, FEW])
def test_where_predictions_miss_more_than_expected_more_is_evaluated_unless_growth_weighs_or_few_tell(weighing, runs):
    table = TrajectoryTable.empty(50, "g").merge(known(50, runs), "k")
    for step in range(30, 50):
        for _ in range(20):
            table.misses.add(step, 100.0)
    candidate = Candidate(Integrator.INTERPOLATE, 1.0, weighing)
    drawn = [book(50, table=each).offer(candidate, 15) for each in (known(50, runs), table)]
    before, after = (offer.plan.evaluated for offer in drawn)
    late_before, late_after = (sum(step >= 30 for step in evaluated) for evaluated in (before, after))
    if weighing is Weighing.EARLY and runs == FEW:
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
    assert nothing.served(3) is None
    assert not nothing.knows
    assert book(8).served(8) is None
    assert book(8).served(9) is None
    assert book(8).served(7) is not None


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


@pytest.mark.parametrize("candidate", [each for each in CANDIDATES if each.is_learnt], ids=lambda each: each.name)
def test_where_audits_let_it_pay_predictions_are_smooth_on_the_same_path(candidate):
    smooth = TrajectoryTable.empty(30, "g").merge(known(30), "k")
    smooth.smoothing.add(5.0)
    assert smooth.smoothing.pays
    learnt, other = book(30), book(30, table=smooth)
    as_learnt, smoothly = learnt.offer(candidate, 10), other.offer(candidate, 10)
    assert smoothly.plan.evaluated == as_learnt.plan.evaluated
    assert smoothly.plan != as_learnt.plan
    assert learnt.other_way(as_learnt.plan, candidate) == smoothly.plan
    assert other.other_way(smoothly.plan, candidate) == as_learnt.plan


def test_smooth_predictions_lie_between_those_as_learnt_and_those_of_the_prior():
    """Of one velocity: the ratio of inner products, of which the prior's count half."""
    smooth = TrajectoryTable.empty(30, "g").merge(known(30), "k")
    smooth.smoothing.add(5.0)
    plans = book(30, table=smooth)
    mean, prior = known(30).products.mean, velocity_prior(plans.sigmas)
    halves = mean / mean.diagonal().mean() + prior
    plan = plans.along(FIRST, [0, 5, 10, 20]).plan
    assert plan.predict[3] == pytest.approx([halves[0, 3] / halves[0, 0]], rel=1e-4)


def test_who_learns_nothing_has_no_other_way():
    plans = book(30)
    for candidate in CANDIDATES:
        if not candidate.is_learnt:
            plan = plans.offer(candidate, 10).plan
            assert plans.other_way(plan, candidate) == plan


# Who is served, and how few evaluations keep a fidelity


def test_whoever_was_measured_to_keep_most_is_served_near_that_budget():
    kept = {("line", 12): [50.0], (FIRST.name, 12): [40.0], ("hold", 24): [60.0], ("line", 24): [55.0]}
    table = audited(30, {cell: 8 * fidelities for cell, fidelities in kept.items()})
    plans = book(30, table=table)
    assert [plans.served(budget).candidate.name for budget in (12, 11, 24)] == ["line", "line", "hold"]
    assert book(30).served(12).candidate == FIRST
    assert plans.served(12).plan == plans.offer(plans.served(12).candidate, 12).plan


@pytest.mark.parametrize(("evaluations", "is_heard"), [(7, True), (9, True), (10, False), (12, False)])
def test_a_plain_solver_is_heard_where_less_than_a_third_is_evaluated(evaluations, is_heard):
    """6 dB ahead it is served; 2 dB behind it is walked on."""
    ahead = book(30, table=audited(30, {(FIRST.name, evaluations): [36.0] * 5, ("adams", evaluations): [42.0] * 5}))
    assert (ahead.served(evaluations).candidate.name == "adams") == is_heard
    behind = book(30, table=audited(30, {(FIRST.name, evaluations): [40.0] * 5, ("adams", evaluations): [38.0] * 5}))
    assert ("adams" in [offer.candidate.name for offer in behind.contenders(evaluations)]) == is_heard


def test_whoever_cannot_win_at_a_like_budget_is_not_walked_at_a_new_one():
    """Nor once another was heard there. A budget of less than a third of the steps is like no other."""
    far_behind = {(FIRST.name, 15): [60.0] * 5, ("adams", 15): [30.0] * 5}

    def walked(audits: TrajectoryTable, budget: int) -> set[str]:
        return {offer.candidate.name for offer in book(30, table=audits).contenders(budget)}

    others = {each.name for each in CANDIDATES} - {"adams"}
    assert walked(audited(30, far_behind), 12) == others
    assert walked(audited(30, far_behind | {(FIRST.name, 12): [50.0]}), 12) == others
    assert walked(audited(30, far_behind), 7) == {*others, "adams"}
    assert walked(audited(30, far_behind | {("adams", 12): [50.0]}), 12) == {*others, "adams"}


def test_the_expected_fidelity_is_what_was_measured():
    plans = book(30, table=audited(30, {(FIRST.name, 12): [40.0, 44.0]}))
    assert plans.fidelity_db(plans.offer(FIRST, 12)) == pytest.approx(42, abs=0.5)
    assert plans.fidelity_db(plans.offer(CANDIDATES[1], 12)) is None


def test_where_only_another_budget_was_audited_plans_tell_by_how_much_it_keeps_more_or_less():
    plans = book(30, table=audited(30, {(FIRST.name, 12): [40.0, 44.0]}))
    bolder, milder = plans.offer(FIRST, 6), plans.offer(FIRST, 24)
    at_twelve = plans.offer(FIRST, 13)  # by which that boldness is judged
    assert plans.fidelity_db(bolder) == pytest.approx(42 + bolder.relative_db - at_twelve.relative_db)
    assert plans.fidelity_db(milder) > 42 > plans.fidelity_db(bolder)


def test_what_was_audited_at_nearly_every_step_is_not_taken_for_the_full_run():
    plans = book(30, table=audited(30, {(FIRST.name, 29): [60.0]}))
    twelve, nearly = plans.offer(FIRST, 12), plans.offer(FIRST, 29)
    assert plans.fidelity_db(twelve) == pytest.approx(60 + twelve.relative_db - nearly.relative_db)
