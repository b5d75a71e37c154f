"""What a generation's plan comes from and what it teaches: audits on schedule, neighbours, and names for snapshots."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
from fastflow_ray.bandit.audits import AuditBook, boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES, FEWEST_TO_RULE_OUT
from fastflow_ray.bandit.policy_key import PolicyKey
from fastflow_ray.bandit.smoothing import Smoothing
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput, InvalidOutput, StatisticsMismatch
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.pace import Pace
from fastflow_ray.planning.audit_need import AUDIT_SHARE, AUDITS_OF_A_SEARCH, FULL_RUNS_TO_COMPARE, PROVING_SHARE
from fastflow_ray.planning.audit_policy import AuditPolicy
from fastflow_ray.planning.learned_plan import every_step
from fastflow_ray.planning.learning import SETTLED
from fastflow_ray.planning.origin import Origin
from fastflow_ray.planning.plan_book import Offer, PlanBook
from fastflow_ray.planning.plan_policy import PlanPolicy
from fastflow_ray.planning.trial import Fidelity, Trial
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

SIGMAS = flow_sigmas(8, 3.0)


def field(x: Tensor, sigma: Tensor) -> Tensor:
    """A curved flow without a network."""
    return torch.sin(3 * x) * (1 - sigma) + sigma * x


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape or (1, 12), generator=torch.Generator().manual_seed(seed))


def taught(jobs: int = 1, **pace: float) -> FastFlow:
    fast = FastFlow()
    for seed in range(jobs):
        fast.sample(field, noise(seed), SIGMAS, key="k", **(pace or {"evaluations": 4}))
    return fast


# Audits


def test_audits_are_frequent_while_a_key_is_young_and_then_a_small_share_of_the_work():
    fast, audited, spent = FastFlow(), [], []
    for job in range(1000):
        _, trace = fast.sample(field, noise(job), SIGMAS, key="k", evaluations=4)
        if trace.audit_db is not None:
            audited.append(job)
        spent.append((len(trace.evaluated), trace.nfe - len(trace.evaluated)))
    assert audited[0] == 1, "as soon as there is anything to try"
    assert sum(job < 100 for job in audited) >= 4
    assert audited[-1] > 400, "they never end"
    made, extra = np.array(spent[100:]).sum(axis=0)
    assert extra <= 0.03 * made
    table = fast.statistics.trajectories["k"]
    assert table.audit_evaluations == sum(extra for _, extra in spent)
    assert table.evaluations == sum(made for made, _ in spent)


def test_a_plan_that_was_given_is_never_audited():
    fast = taught(3)
    _, trace = fast.sample(field, noise(9), SIGMAS, key="k", evaluations=4)
    before = fast.statistics.trajectories["k"].audits.most_audits
    for seed in range(20):
        _, replayed = fast.sample(field, noise(seed), SIGMAS, key="k", plan=trace.plan)
        assert (replayed.audit_db, replayed.nfe) == (None, trace.plan.evaluations)
    assert fast.statistics.trajectories["k"].audits.most_audits == before


def test_an_audit_teaches_growth_a_full_run_what_its_walks_missed_and_what_every_candidate_kept():
    fast = taught(FULL_RUNS_TO_COMPARE)
    table = fast.statistics.trajectories["k"]
    assert (table.runs, table.full_runs) == (2 * FULL_RUNS_TO_COMPARE - 1, FULL_RUNS_TO_COMPARE)
    assert table.audits.most_audits == 0, "too early for rivals"
    assert table.growth.count.any()
    assert table.response.product.any()
    assert table.response.square.any()
    before = table.misses.count.sum()
    _, trace = fast.sample(field, noise(9), SIGMAS, key="k", evaluations=4)
    assert table.misses.count.sum() > before + len(trace.plan.foresee), "not only what the video's own plan missed"
    assert (table.full_runs, table.audits.most_audits) == (FULL_RUNS_TO_COMPARE + 1, 1)
    assert len({candidate for candidate, _, _ in table.audits.cells()}) == len(CANDIDATES)


@pytest.mark.parametrize("pace", [{"speedup": 1.0}, {"evaluations": 8}, {"fidelity_db": 500.0}])
def test_who_asks_for_no_skip_pays_for_no_audit(pace: dict[str, float]):
    fast = FastFlow()
    assert [fast.sample(field, noise(job), SIGMAS, key="k", **pace)[1].nfe for job in range(12)] == [8] * 12
    assert fast.statistics.trajectories["k"].full_runs == 12


def test_who_asks_for_another_budget_is_heard_there_too_and_rarely_at_first():
    fast = taught(12)
    work = [fast.sample(field, noise(seed), SIGMAS, key="k", evaluations=3)[1].nfe for seed in range(100, 160)]
    audited = [job for job, nfe in enumerate(work) if nfe >= SIGMAS.numel() - 1]
    assert len(audited) == FEWEST_TO_RULE_OUT
    assert fast.statistics.trajectories["k"].audits.most_audits_at(boldness_of(8, 3)) == FEWEST_TO_RULE_OUT
    assert 4 < audited[-1] < 40


def test_whoever_is_not_drawn_draws_up_no_rivals():
    """Of most jobs at a new budget; rivals take up to nine plans."""
    drawn = []
    for seed in range(12):
        known, seen = taught(12).statistics.trajectories["k"], Sightings()
        policy = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=3), SIGMAS)
        planned(field, noise(seed), SIGMAS, policy.plan, seen)
        drawn.append(policy.audits.is_due(seen))
        assert ("compared" in vars(policy.audits)) == drawn[-1]
    assert 0 < sum(drawn) < 12


def on_demand(known: TrajectoryTable, learnt: TrajectoryTable, pace: Pace) -> Offer:
    """What is served at this pace, in an audit that a user asks for and the fleet does not want."""
    policy, seen = PlanPolicy(known, learnt, pace, SIGMAS, fleet_share=0.0), Sightings()
    sample, trace = planned(field, noise(9), SIGMAS, policy.plan, seen)

    def walk(plan: Plan) -> tuple[Tensor, Sightings]:
        walked = Sightings()
        return planned(field, noise(9), SIGMAS, plan, walked)[0], walked

    trial = Trial(policy.audits, seen, trace, policy.plan)
    assert not trial.is_due
    trial.hold(sample, walk, lambda a, b: Fidelity(sample_psnr_db(a, b)))
    return policy.served


def test_an_audit_that_a_user_asks_for_is_not_charged_to_the_fleet_and_teaches():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    learnt, audits = TrajectoryTable.empty(8, known.grid), known.audits.most_audits
    on_demand(known, learnt, Pace(evaluations=4))
    assert (learnt.full_runs, learnt.audit_evaluations) == (1, 0)
    assert known.audits.most_audits == audits, "of a speed it tells nothing: no rival was walked on the same seed"


def test_a_promise_hears_every_audit_of_the_plan_it_rests_on():
    known = taught(SETTLED, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    for _ in range(FEWEST_TO_ASSURE):
        known.audits.note(CANDIDATES[0].name, boldness_of(8, 5), 60.0)
    learnt = TrajectoryTable.empty(8, known.grid)
    served = on_demand(known, learnt, Pace(fidelity_db=20.0))
    heard = learnt.audits.at(served.candidate.name, boldness_of(8, served.plan.evaluations))
    assert (heard.audits, learnt.audit_evaluations) == (1, 0)


def test_an_audit_walks_the_plans_that_it_was_weighed_by():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    audits = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS).audits
    weighed = audits.compared
    audits.lessons.learn_fidelity(weighed[0], measured_db=60.0)
    assert audits.compared is weighed


def test_only_predictions_that_were_learnt_teach_how_far_such_miss():
    """A line misses by what it expects to, and would make all others look as good."""
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    audits = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS).audits
    for offer in audits.compared:
        seen, before, evaluations = Sightings(), known.misses.count.sum(), known.audit_evaluations
        planned(field, noise(9), SIGMAS, offer.plan, seen)
        audits.lessons.learn_walk(offer, seen, seen)
        assert known.misses.count.sum() - before == len(offer.plan.foresee) * offer.candidate.is_learnt
        assert known.audit_evaluations - evaluations == offer.plan.evaluations
    audits.lessons.learn_walk(offer, None, seen)
    assert known.audit_evaluations - evaluations == 2 * offer.plan.evaluations


@pytest.mark.parametrize("own", [True, False])
def test_neither_a_given_plan_nor_a_solvers_teaches_how_far_predictions_miss(own: bool):
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    learnt = TrajectoryTable.empty(8, known.grid)
    if own:
        for candidate in CANDIDATES:
            known.audits.note(candidate.name, boldness_of(8, 4), 20.0 if candidate.is_learnt else 60.0)
        policy = PlanPolicy(known, learnt, Pace(evaluations=4), SIGMAS)
        assert not policy.served.candidate.is_learnt
    else:
        plan = PlanPolicy(known, learnt, Pace(evaluations=4), SIGMAS).plan
        policy = PlanPolicy(known, learnt, Pace(plan=plan), SIGMAS)
    seen = Sightings()
    planned(field, noise(9), SIGMAS, policy.plan, seen)
    policy.learn(seen, policy.plan)
    assert (learnt.runs, learnt.misses.count.sum()) == (1, 0)


def test_what_a_fidelity_was_promised_for_is_audited_first_and_then_what_might_do_with_less():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]

    def policy() -> PlanPolicy:
        return PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(fidelity_db=20.0), SIGMAS)

    searching = policy()
    assert searching.plan.evaluations == 8
    probed = searching.audits.compared[0]
    for _ in range(FEWEST_TO_ASSURE):
        searching.audits.lessons.learn_fidelity(probed, measured_db=60.0)
    serving = policy()
    assert serving.plan.evaluations == probed.plan.evaluations
    own, *others = serving.audits.compared
    assert own.plan is serving.plan
    assert others[0].plan.evaluations < serving.plan.evaluations
    assert own not in others


@pytest.mark.parametrize(
    ("pace", "full_runs", "kept"),
    [
        (Pace(fidelity_db=20.0), SETTLED, True),
        (Pace(fidelity_db=20.0), SETTLED - 1, False),
        (Pace(evaluations=4), SETTLED, False),
    ],
)
def test_only_for_a_promise_and_once_plans_have_settled_the_path_that_was_audited_is_kept(pace, full_runs, kept):
    known = taught(full_runs, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    learnt = TrajectoryTable.empty(8, known.grid)
    policy = PlanPolicy(known, learnt, pace, SIGMAS)
    offer = policy.audits.compared[0]
    policy.audits.lessons.learn_fidelity(offer, 60.0)
    cell = learnt.audits.at(offer.candidate.name, boldness_of(8, offer.plan.evaluations))
    assert cell.path == (tuple(offer.plan.evaluated) if kept else None)


@pytest.mark.parametrize(("pace", "shown"), [(Pace(fidelity_db=20.0), True), (Pace(evaluations=4), False)])
def test_where_nothing_was_skipped_what_is_walked_for_an_audit_shows_how_velocities_respond(pace: Pace, shown: bool):
    """Elsewhere the walk of the generation itself does."""
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    learnt = TrajectoryTable.empty(8, known.grid)
    audits = PlanPolicy(known, learnt, pace, SIGMAS).audits
    full, seen, offer = Sightings(), Sightings(), audits.compared[0]
    planned(field, noise(9), SIGMAS, every_step(8), full)
    planned(field, noise(9), SIGMAS, offer.plan, seen)
    audits.lessons.learn_walk(offer, seen, full)
    assert learnt.response.square.any() == shown


@pytest.mark.parametrize(("kept_db", "goes_on"), [(60.0, True), (0.0, False)])
def test_a_search_that_has_had_its_audits_goes_on_where_one_is_lacking_to_a_promise(kept_db: float, goes_on: bool):
    known = taught(SETTLED, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    for candidate, audits, measured_db in (
        (CANDIDATES[0], AUDITS_OF_A_SEARCH, 0.0),
        (CANDIDATES[1], FEWEST_TO_ASSURE - 1, kept_db),
    ):
        for _ in range(audits):
            known.audits.note(candidate.name, boldness_of(8, 7), measured_db)
            known.audits.note(candidate.name, boldness_of(8, 6), 0.0)
    known.audit_evaluations = known.evaluations  # no share of the work is left for audits
    assert due(known) == goes_on


def due(known: TrajectoryTable) -> bool:
    """Whether a generation that asks for 20 dB is audited."""
    policy, seen = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(fidelity_db=20.0), SIGMAS), Sightings()
    planned(field, noise(9), SIGMAS, every_step(8), seen)
    return policy.audits.is_due(seen)


def test_a_search_begins_as_soon_as_plans_come_from_a_few_full_runs():
    too_few, few = (taught(runs, evaluations=8) for runs in (FULL_RUNS_TO_COMPARE - 1, FULL_RUNS_TO_COMPARE))
    assert not due(too_few.statistics.trajectories["k"]), "there is nothing to walk yet"
    assert due(few.statistics.trajectories["k"])


def test_a_higher_fidelity_is_searched_for_however_much_a_lower_one_was_audited():
    known = taught(SETTLED, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    for _ in range(2 * AUDITS_OF_A_SEARCH):
        known.audits.note(CANDIDATES[0].name, boldness_of(8, 3), 15.0)
    known.audit_evaluations = known.evaluations  # no share of the work is left for audits
    assert due(known)


@pytest.mark.parametrize(("audits", "goes_on"), [(FEWEST_TO_ASSURE, True), (38, True), (39, False)])
def test_what_is_promised_by_few_audits_is_audited_more_until_it_is_proven(audits: int, goes_on: bool):
    known = taught(SETTLED, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    for _ in range(audits):
        known.audits.note(CANDIDATES[0].name, boldness_of(8, 4), 80.0)
    known.runs = 0  # young no more, by that; and nothing bolder could do
    for _ in range(2):
        known.audits.note(CANDIDATES[0].name, boldness_of(8, 3), 1.0)
    known.evaluations = 2000.0
    known.audit_evaluations = 0.5 * (PROVING_SHARE + AUDIT_SHARE) * known.evaluations
    assert due(known) == goes_on


@pytest.mark.parametrize("pace", [Pace(fidelity_db=20.0), Pace(evaluations=4)], ids=["in full", "skipping"])
def test_where_every_step_is_evaluated_anyway_all_of_a_small_fleet_audit_at_once(pace: Pace):
    known = taught(SETTLED, evaluations=8).statistics.trajectories["k"]
    known.audits = AuditBook()
    of_eight = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), pace, SIGMAS, fleet_share=1 / 8).audits
    due = 0
    for seed in range(40):
        full = Sightings()
        planned(field, noise(seed), SIGMAS, every_step(8), full)
        due += of_eight.is_due(full)
    assert due == 40 if pace.fidelity_db else due < 10


def test_a_rival_that_leads_the_network_astray_costs_nobody_the_video():
    """Holding or drawing a line, x comes where the network breaks; the plan that is served does not go there."""
    fast = taught(FULL_RUNS_TO_COMPARE)
    x0 = noise(50)
    known = fast.statistics.trajectories["k"]
    policy = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS)
    reached: list[Tensor] = []

    def remembering(x: Tensor, sigma: Tensor) -> Tensor:
        reached.append(x)
        return field(x, sigma)

    planned(remembering, x0, SIGMAS, policy.plan, watch=policy.watch)
    euler(remembering, x0, SIGMAS)
    safe = list(reached)

    def breaks_elsewhere(x: Tensor, sigma: Tensor) -> Tensor:
        return field(x, sigma) if any(torch.equal(x, known) for known in safe) else torch.full_like(x, math.nan)

    x, trace = fast.sample(breaks_elsewhere, x0, SIGMAS, key="k", evaluations=4)
    assert trace.audit_db == sample_psnr_db(x, euler(field, x0, SIGMAS))
    assert fast.statistics.trajectories["k"].audits.at("hold", 4).mean_db == 0


# Whether predictions should be smooth


def auditing(known: TrajectoryTable) -> AuditPolicy:
    return PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS).audits


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("jobs", [1, FULL_RUNS_TO_COMPARE])
def test_a_plan_that_was_learnt_is_walked_by_smooth_predictions_too_or_by_those_as_learnt(jobs: int, smooth: bool):
    known = taught(jobs).statistics.trajectories["k"]
    known.smoothing = Smoothing(gain_sum=5.0 if smooth else -5.0, audits=1)
    policy = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS)
    altered = PlanBook(known, SIGMAS.double().numpy()).with_evaluation(
        policy.plan, policy.plan.skips[-1][0] + 1, CANDIDATES[0]
    )
    both_ways, evaluations = policy.audits.both_ways(altered), known.audit_evaluations
    assert both_ways.own == altered != both_ways.other
    assert both_ways.other.evaluated == both_ways.own.evaluated
    policy.audits.lessons.learn_smoothing(both_ways, own_db=40.0, other_db=43.0)
    assert known.smoothing == Smoothing(gain_sum=2.0 if smooth else -2.0, audits=2), "of smooth ones beyond the others"
    assert known.audit_evaluations - evaluations == both_ways.other.evaluations


def test_equal_to_the_full_run_both_ways_is_a_gain_of_nothing():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    known.smoothing = Smoothing()
    audits = auditing(known)
    audits.lessons.learn_smoothing(audits.both_ways(audits.compared[0].plan), math.inf, math.inf)
    assert known.smoothing == Smoothing(gain_sum=0.0, audits=1)


def test_once_audits_have_told_which_way_is_better_only_that_is_walked():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    known.smoothing = Smoothing(gain_sum=40.0, audits=8)
    assert not known.smoothing.is_open
    audits = auditing(known)
    assert audits.both_ways(audits.compared[0].plan) is None


def test_plans_that_a_promise_rests_on_are_not_changed_by_audits_of_another_way():
    fast = taught(12, fidelity_db=20.0)
    known = fast.statistics.trajectories["k"]
    assert known.audits.most_audits > 0
    assert known.smoothing == Smoothing()


def test_where_a_solver_is_served_the_first_rival_that_learns_is_walked_both_ways():
    known = taught(FULL_RUNS_TO_COMPARE).statistics.trajectories["k"]
    for candidate in CANDIDATES:
        known.audits.note(candidate.name, boldness_of(8, 4), 20.0 if candidate.is_learnt else 60.0)
    policy = PlanPolicy(known, TrajectoryTable.empty(8, known.grid), Pace(evaluations=4), SIGMAS)
    learnt = next(offer for offer in policy.audits.compared if offer.candidate.is_learnt)
    assert policy.audits.both_ways(policy.plan).own == learnt.plan != policy.plan


# Where a plan comes from


def test_the_snapshot_has_another_name_when_anything_it_comes_from_changed():
    known = taught(3).statistics.trajectories["k"]

    def name() -> str:
        return Origin.at_beginning(known, None).snapshot

    names = [name(), name()]
    assert names[0] == names[1]
    for change in (
        lambda: known.add_run(np.eye(8)),
        lambda: known.growth.add(np.ones(8), np.full(8, True)),
        lambda: known.misses.add(3, 2.0),
        lambda: known.smoothing.add(3.0),
        lambda: known.audits.note("hold", 15, 41.0),
    ):
        change()
        names.append(name())
    assert len(set(names)) == 6


def key(width: int = 64, guidance: float = 3.0, lora: str = "") -> PolicyKey:
    return PolicyKey("m", "r", steps=8, shift=3.0, guidance=guidance, width=width, height=64, frames=1, lora=lora)


def test_a_new_key_begins_from_its_nearest_neighbour_and_says_so():
    fast = FastFlow()
    for lender in (key(64), key(1024)):
        fast.sample(field, noise(0), SIGMAS, key=lender, evaluations=4)
    _, trace = fast.sample(field, noise(5), SIGMAS, key=key(128), evaluations=4)
    assert trace.skipped == 4 - len(trace.added), "its first call already skips"
    assert f"lent by {key(64)}" in trace.snapshot
    assert trace.audit_db is not None, "and is audited, for it is not its own knowledge"
    (own,) = (table for name, table in fast.statistics.trajectories.items() if name.startswith(f"{key(128)}:"))
    assert (own.full_runs, own.misses.count.sum()) == (1, 0), "nor what its predictions missed by"
    _, later = fast.sample(field, noise(6), SIGMAS, key=key(128), evaluations=4)
    assert "lent" not in later.snapshot


def test_the_neighbour_learns_nothing_from_a_borrower():
    fast = FastFlow()
    fast.sample(field, noise(0), SIGMAS, key=key(64), evaluations=4)
    (lender,) = fast.statistics.trajectories.values()
    before = lender.to_dict()
    fast.sample(field, noise(5), SIGMAS, key=key(128), evaluations=4)
    assert lender.to_dict() == before


def test_where_no_key_is_comparable_every_step_is_evaluated_first():
    fast = FastFlow()
    fast.sample(field, noise(0), SIGMAS, key=PolicyKey("other", "r", 8, 3.0, 3.0, 64, 64, 1), evaluations=4)
    _, trace = fast.sample(field, noise(5), SIGMAS, key=key(), evaluations=4)
    assert (trace.skipped, trace.expected_db) == (0, math.inf)


def test_what_is_expected_is_unknown_before_an_audit():
    fast = taught(FULL_RUNS_TO_COMPARE)
    assert fast.sample(field, noise(7), SIGMAS, key="k", evaluations=4)[1].expected_db is None
    assert 10 < fast.sample(field, noise(8), SIGMAS, key="k", evaluations=4)[1].expected_db < 120


# What cannot be


@pytest.mark.parametrize(
    "sigmas",
    [
        torch.tensor([1.0, 0.8, 0.8, 0.4, 0.0]),
        torch.tensor([1.0, 0.6, 0.8, 0.4, 0.0]),
        torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]),
        torch.tensor([1.0, 0.7, 0.4, 0.0]),
        torch.tensor([1.0, math.nan, 0.4, 0.2, 0.0]),
        torch.tensor([0.9, 0.7, 0.4, 0.2, 0.0]),
        torch.tensor([1.0, 0.7, 0.4, 0.2, 0.1]),
        torch.ones(2, 5),
    ],
)
@pytest.mark.parametrize("pace", [{"evaluations": 2}, {"speedup": 2.0}, {"fidelity_db": 40.0}])
def test_an_unsound_grid_is_refused_and_nothing_learnt(sigmas, pace):
    fast = FastFlow()
    with pytest.raises(InvalidInput):
        fast.sample(field, noise(0), sigmas, key="k", **pace)
    assert not fast.statistics.trajectories


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("sick_step", [0, 1, 3, 7])
def test_a_velocity_that_is_not_finite_is_found_out_and_teaches_nothing(value, sick_step):
    fast = taught(2)
    before = fast.statistics.to_json()

    def sick(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, value) if sigma <= SIGMAS[sick_step] else field(x, sigma)

    for pace in ({"evaluations": 4}, {"fidelity_db": 40.0}, {"evaluations": 8}):
        with pytest.raises(InvalidOutput):
            fast.sample(sick, noise(9), SIGMAS, key="k", **pace)
    assert fast.statistics.to_json() == before


def test_statistics_of_another_grid_are_refused():
    with pytest.raises(StatisticsMismatch, match="'k'"):
        taught().sample(field, noise(0), flow_sigmas(8, 5.0), key="k", evaluations=4)
    with pytest.raises(StatisticsMismatch, match="'k'"):
        taught().sample(field, noise(0), flow_sigmas(9, 3.0), key="k", fidelity_db=40.0)


@pytest.mark.parametrize("pace", [{"evaluations": 4}, {}])
def test_a_first_generation_that_fails_binds_its_key_to_no_grid(pace):
    fast = FastFlow()
    with pytest.raises(InvalidOutput):
        fast.sample(lambda x, sigma: x * float("nan"), noise(0), flow_sigmas(9, 5.0), key="k", **pace)
    fast.sample(field, noise(0), SIGMAS, key="k", **pace)
    assert fast.statistics.runs("k") == 1
    assert fast.take_delta().runs("k") == 1


# Any shape, any grid


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", [(7,), (1,), (2, 3), (4, 3, 6, 6), (16, 2, 4, 4)])
def test_a_sample_may_have_any_shape(batch, shape):
    fast = FastFlow()
    for seed in range(3):
        x0 = noise(seed, batch, *shape)
        x, trace = fast.sample(field, x0, SIGMAS, key="k", evaluations=4)
        assert (x.shape, x.dtype) == (x0.shape, torch.float32)
        assert torch.equal(planned(field, x0, SIGMAS, trace.plan)[0], x)
    assert len(trace.evaluated) == 4 + len(trace.added)


def odd_grid(steps: int, first: float, seed: int) -> Tensor:
    """Falling unevenly from `first`: some steps forty times as long as others."""
    lengths = torch.from_numpy(np.random.default_rng(seed).uniform(0.05, 2, steps))
    sigmas = first * (1 - torch.cat([torch.zeros(1), lengths.cumsum(0) / lengths.sum()]))
    return torch.cat([sigmas[:-1], torch.zeros(1)]).float()


@pytest.mark.parametrize("steps", [4, 5, 7, 13, 50, 200])
@pytest.mark.parametrize("first", [1.0, 0.98])
def test_a_grid_may_be_uneven_and_of_any_length(steps, first):
    fast, sigmas = FastFlow(), odd_grid(steps, first, steps)
    budget = max(2, steps // 3)
    for seed in range(3):
        x, trace = fast.sample(field, noise(seed), sigmas, key="k", evaluations=budget)
        assert torch.isfinite(x).all()
    assert len(trace.evaluated) == budget + len(trace.added)
    if steps >= 12:
        full = euler(field, noise(2), sigmas)
        fewer = euler(field, noise(2), sigmas[torch.linspace(0, steps, budget + 1).round().long()])
        assert sample_psnr_db(x, full) > sample_psnr_db(fewer, full)


# Which of a fleet's workers audits


def audits(fast: FastFlow, jobs: range) -> int:
    traces = [fast.sample(field, noise(job), SIGMAS, key="k", evaluations=4)[1] for job in jobs]
    return sum(trace.audit_db is not None for trace in traces)


def test_one_alone_audits_at_once_what_it_reads_from_a_file():
    assert audits(FastFlow(statistics=taught(1).statistics), range(1, 2)) == 1


def test_workers_of_a_fleet_do_not_all_audit_what_all_of_them_lack():
    known = Statistics.sum_of(taught(1).take_delta().to_json() for _ in range(16))
    fleet = [FastFlow() for _ in range(16)]
    for worker in fleet:
        worker.adopt(known)
    first = sum(audits(worker, range(1, 2)) for worker in fleet)
    assert first == 0, "none can tell yet how many there are"
    for worker in fleet:
        known = known.merge(worker.take_delta())
    for worker in fleet:
        worker.adopt(known)
    begun = sum(audits(worker, range(place, place + 1)) for place, worker in enumerate(fleet, 100))
    assert 1 <= begun <= 12


def test_so_few_evaluations_as_cannot_be_are_refused_and_a_speed_is_as_fast_as_can_be():
    known = taught(1).statistics.trajectories["k"]
    nothing = TrajectoryTable.empty(8, known.grid)
    assert PlanPolicy(known, nothing, Pace(speedup=4.0), SIGMAS, restarts=(4,)).plan.evaluations == 4
    for table in (known, nothing):
        with pytest.raises(InvalidInput, match="2 evaluations are too few for this model; ask for at least 4"):
            PlanPolicy(table, nothing, Pace(evaluations=2), SIGMAS, restarts=(4,))
