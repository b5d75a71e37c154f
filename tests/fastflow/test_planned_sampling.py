"""`FastFlow.sample` with a budget: what it learns from, what it costs, and that it pays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fastflow_ray.bandit.candidates import CANDIDATES, Integrator
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput, InvalidOutput, StatisticsMismatch
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.audit_measures import measured_growth
from fastflow_ray.planning.learned_plan import every_step
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

STEPS, BUDGET = 30, 12
SIGMAS = flow_sigmas(STEPS, 3.0)
CENTRES = torch.randn(6, 40, generator=torch.Generator().manual_seed(1))


class MixtureFlow:
    """The exact velocity of the flow from noise to Gaussian blobs: six in 40 dimensions, if nothing is said."""

    def __init__(self, centres: Tensor = CENTRES) -> None:
        self.centres, self.calls = centres, 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.calls += 1
        variance = (0.3 * (1 - sigma)) ** 2 + sigma**2
        distance = ((x[:, None] - (1 - sigma) * self.centres) ** 2).sum(-1)
        share = torch.softmax(-distance / (2 * variance), dim=1)
        centre = share @ self.centres
        deviation = x - (1 - sigma) * centre
        noise = sigma / variance * deviation
        data = centre + 0.3**2 * (1 - sigma) / variance * deviation
        return noise - data


def noise(seed: int) -> Tensor:
    return torch.randn(2, 40, generator=torch.Generator().manual_seed(seed))


def mse(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean())


def learned_plan(table: TrajectoryTable) -> Plan:
    return PlanBook(table, SIGMAS.double().numpy()).served(BUDGET).plan


def taught(jobs: int) -> FastFlow:
    fast = FastFlow()
    for job in range(jobs):
        fast.sample(MixtureFlow(), noise(job), SIGMAS, key="k", evaluations=BUDGET)
    return fast


def test_the_first_call_of_a_key_evaluates_every_step() -> None:
    x, trace = FastFlow().sample(MixtureFlow(), noise(0), SIGMAS, key="k", evaluations=BUDGET)
    assert torch.equal(x, euler(MixtureFlow(), noise(0), SIGMAS))
    assert trace.nfe == STEPS
    assert trace.audit_db is None


def test_later_calls_keep_the_budget_and_count_what_audits_cost() -> None:
    fast, audits = taught(1), 0
    for job in range(1, 20):
        velocity, told = MixtureFlow(), fast.statistics.trajectories["k"].smoothing.audits
        x, trace = fast.sample(velocity, noise(job), SIGMAS, key="k", evaluations=BUDGET)
        assert len(trace.evaluated) == BUDGET + len(trace.added)
        assert trace.nfe == velocity.calls
        assert trace.skipped == STEPS - len(trace.evaluated)
        if trace.audit_db is None:
            assert trace.nfe == len(trace.evaluated)
            continue
        audits += 1
        assert trace.audit_db == sample_psnr_db(x, euler(MixtureFlow(), noise(job), SIGMAS))
        both_ways = fast.statistics.trajectories["k"].smoothing.audits - told
        rivals, rest = divmod(trace.nfe - (1 + both_ways) * len(trace.evaluated) - STEPS, BUDGET)
        assert rest == 0
        assert 0 <= rivals < len(CANDIDATES) + bool(trace.added), "a plan the watch altered is walked unaltered too"
    assert 2 <= audits <= 8
    table = fast.statistics.trajectories["k"]
    assert 2 <= table.audits.most_audits <= audits, "of the candidate that was walked in most of them"


@pytest.mark.parametrize("jobs", [1, 12])
def test_a_learned_plan_is_far_nearer_to_the_full_run_than_as_many_steps_of_euler(jobs: int) -> None:
    fast, ours, theirs = taught(jobs), [], []
    plan = learned_plan(fast.statistics.trajectories["k"])
    for seed in range(100, 116):
        reference = euler(MixtureFlow(), noise(seed), SIGMAS)
        ours.append(mse(planned(MixtureFlow(), noise(seed), SIGMAS, plan)[0], reference))
        theirs.append(mse(euler(MixtureFlow(), noise(seed), flow_sigmas(BUDGET, 3.0)), reference))
    assert 5 * np.median(ours) < np.median(theirs)


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_one_run_of_few_dimensions_is_enough_to_be_nearer_than_a_straight_line(dimensions: int) -> None:
    draw = torch.Generator().manual_seed(dimensions)
    field, fast = MixtureFlow(torch.randn(8, dimensions, generator=draw)), FastFlow()
    noises = [torch.randn(1, dimensions, generator=draw) for _ in range(25)]
    sigmas = flow_sigmas(STEPS, 1.0)
    fast.sample(field, noises[0], sigmas, key="k", evaluations=BUDGET)
    book = PlanBook(fast.statistics.trajectories["k"], sigmas.double().numpy())
    line = next(each for each in CANDIDATES if each.integrator is Integrator.LINE)
    ours, theirs = [], []
    for x in noises[1:]:
        reference = euler(field, x, sigmas)
        for plan, errors in ((book.served(BUDGET).plan, ours), (book.offer(line, BUDGET).plan, theirs)):
            errors.append(mse(planned(field, x, sigmas, plan)[0], reference))
    assert np.log10(ours).mean() < np.log10(theirs).mean()


def test_a_speedup_is_a_budget() -> None:
    fast = taught(1)
    _, trace = fast.sample(MixtureFlow(), noise(50), SIGMAS, key="k", speedup=3.0)
    assert len(trace.evaluated) == 10 + len(trace.added)


def test_the_same_calls_give_the_same_bits() -> None:
    first, second = taught(4), taught(4)
    a, trace_a = first.sample(MixtureFlow(), noise(9), SIGMAS, key="k", evaluations=BUDGET)
    b, trace_b = second.sample(MixtureFlow(), noise(9), SIGMAS, key="k", evaluations=BUDGET)
    assert torch.equal(a, b)
    assert trace_a == trace_b


@pytest.mark.parametrize(
    "budget",
    [
        {"evaluations": 1},
        {"evaluations": STEPS + 1},
        {"speedup": 0.5},
        {"speedup": math.nan},
        {"speedup": 100.0},
        {"evaluations": 10, "speedup": 3.0},
    ],
)
def test_a_budget_that_cannot_be_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        FastFlow().sample(MixtureFlow(), noise(0), SIGMAS, **budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("plan", [3, "19 of 50", every_step(STEPS).to_dict()])
def test_what_is_no_plan_is_refused(plan: object) -> None:
    with pytest.raises(InvalidInput, match="is no plan"):
        FastFlow().sample(MixtureFlow(), noise(0), SIGMAS, plan=plan)  # type: ignore[arg-type]


def test_what_was_learnt_is_taken_once_and_is_all_there_is() -> None:
    fast, taken = FastFlow(), Statistics()
    for jobs in ([0], [1, 2], [3, 4, 5]):
        for job in jobs:
            fast.sample(MixtureFlow(), noise(job), SIGMAS, key="k", evaluations=BUDGET)
        taken = taken.merge(fast.take_delta())
    ours, theirs = taken.trajectories["k"], fast.statistics.trajectories["k"]
    np.testing.assert_allclose(ours.products.sums, theirs.products.sums, rtol=1e-12)
    np.testing.assert_allclose(ours.growth.log_sum, theirs.growth.log_sum, rtol=1e-12)
    assert (ours.runs, ours.full_runs) == (theirs.runs, theirs.full_runs)
    assert theirs.growth.count.any(), "there was an audit"
    assert not fast.take_delta()


def test_a_worker_that_adopts_needs_no_full_run_of_its_own() -> None:
    fleet, fast = taught(1), taught(1)
    fast.take_delta()
    fast.sample(MixtureFlow(), noise(5), SIGMAS, key="k", evaluations=BUDGET)
    fast.adopt(Statistics.from_json(fleet.statistics.to_json()))
    assert fast.statistics.trajectories["k"].full_runs == 2, "the fleet's, and an audit's that was not yet taken"
    newcomer = FastFlow(statistics=fleet.statistics)
    _, trace = newcomer.sample(MixtureFlow(), noise(9), SIGMAS, key="k", evaluations=BUDGET)
    assert len(trace.evaluated) == BUDGET + len(trace.added)
    assert fleet.statistics.trajectories["k"].runs == 1, "what is known is copied"


def test_arms_and_trajectories_may_share_a_key() -> None:
    fast = taught(2)
    fast.sample(MixtureFlow(), noise(0), SIGMAS, key="k")
    assert fast.statistics.keys == ["k"]
    assert fast.statistics.runs("k") == 2 + 1 + 1  # two, the audit of the second, and FastFlow's


def test_another_grid_under_the_same_key_is_refused() -> None:
    with pytest.raises(StatisticsMismatch):
        taught(1).sample(MixtureFlow(), noise(0), flow_sigmas(STEPS, 5.0), key="k", evaluations=BUDGET)


def test_without_a_key_each_grid_learns_for_itself() -> None:
    fast = FastFlow()
    for shift in (3.0, 5.0):
        _, trace = fast.sample(MixtureFlow(), noise(0), flow_sigmas(STEPS, shift), evaluations=BUDGET)
        assert trace.nfe == STEPS


def test_a_network_that_breaks_teaches_nothing() -> None:
    fast = FastFlow()
    with pytest.raises(InvalidOutput):
        fast.sample(lambda x, _: x * math.nan, noise(0), SIGMAS, key="k", evaluations=BUDGET)
    assert fast.statistics.trajectories["k"].runs == 0


def test_a_network_that_breaks_during_an_audit_teaches_nothing() -> None:
    def teaches_nothing(last_call: int) -> bool:
        velocity, fast = MixtureFlow(), taught(1)
        before, _ = fast.statistics.to_json(), fast.take_delta()

        def breaking(x: Tensor, sigma: Tensor) -> Tensor:
            if velocity.calls == last_call:
                raise RuntimeError("the network is gone")
            return velocity(x, sigma)

        with pytest.raises(RuntimeError, match="gone"):
            fast.sample(breaking, noise(1), SIGMAS, key="k", evaluations=BUDGET)
        return fast.statistics.to_json() == before and fast.take_delta().trajectories["k"].products.weight == 0

    _, whole = taught(1).sample(MixtureFlow(), noise(1), SIGMAS, key="k", evaluations=BUDGET)
    assert whole.audit_db is not None, "it is audited"
    assert all(teaches_nothing(last_call) for last_call in range(whole.nfe))


def test_a_network_that_breaks_while_an_audit_walks_rivals_takes_back_what_the_full_run_taught() -> None:
    _, whole = taught(3).sample(MixtureFlow(), noise(3), SIGMAS, key="k", evaluations=BUDGET)
    assert whole.nfe > STEPS + len(whole.evaluated), "others are walked"
    velocity, fast = MixtureFlow(), taught(3)
    before, _ = fast.statistics.to_json(), fast.take_delta()

    def breaking(x: Tensor, sigma: Tensor) -> Tensor:
        if velocity.calls == whole.nfe - 1:
            raise RuntimeError("the network is gone")
        return velocity(x, sigma)

    with pytest.raises(RuntimeError, match="gone"):
        fast.sample(breaking, noise(3), SIGMAS, key="k", evaluations=BUDGET)
    assert fast.statistics.to_json() == before
    delta = fast.take_delta().trajectories["k"]
    assert (delta.products.weight, delta.audits.most_audits, delta.audit_evaluations) == (0, 0, 0)


def test_a_plan_that_leads_the_network_astray_in_an_audit_is_counted_too() -> None:
    _, whole = taught(3).sample(MixtureFlow(), noise(3), SIGMAS, key="k", evaluations=BUDGET)
    assert whole.nfe > STEPS + len(whole.evaluated), "others are walked"
    velocity = MixtureFlow()

    def astray(x: Tensor, sigma: Tensor) -> Tensor:
        v = velocity(x, sigma)
        return v * math.nan if velocity.calls == whole.nfe else v

    _, trace = taught(3).sample(astray, noise(3), SIGMAS, key="k", evaluations=BUDGET)
    assert trace.nfe == velocity.calls == whole.nfe


def test_growth_is_measured_where_it_is_known_exactly() -> None:
    """v = 2·x·sin(5·sigma): every deviation grows over step k by 1 + dsigma_k·2·sin(5·sigma_k)."""

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        return 2 * x * torch.sin(5 * sigma)

    dsigma = np.diff(SIGMAS.double().numpy())
    fast = FastFlow()
    for seed in range(2, 8):
        fast.sample(velocity, noise(seed), SIGMAS, key="k", evaluations=STEPS)
    table = fast.statistics.trajectories["k"]
    table.products.sums += np.diag(np.full(STEPS, 6e-2))  # a planner that errs, so that there are deviations
    path = (0, 1, 4, 5, 6, 10, 11, 12, 16, 17, 18, 24, 25, 26)
    plan = PlanBook(table, SIGMAS.double().numpy()).along(CANDIDATES[0], path).plan
    walked, full = Sightings(), Sightings()
    planned(velocity, noise(1), SIGMAS, plan, walked)
    planned(velocity, noise(1), SIGMAS, every_step(STEPS), full)
    log_growth, known = measured_growth(plan, walked, full, dsigma)
    truth = np.log(np.abs(1 + dsigma * 2 * np.sin(5 * SIGMAS[:-1].double().numpy())))
    followed = set(plan.evaluated) - set(plan.integrate)  # there the velocity was seen at the very x that went on
    single = np.array([k in followed and k + 1 in (*plan.evaluated, STEPS) for k in range(STEPS)]) & known
    assert single.sum() >= 3
    np.testing.assert_allclose(log_growth[single], truth[single], atol=0.005)
