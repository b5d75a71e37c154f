"""A job that leaves its band is evaluated more often, never less; and it can be made again, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_wan import STEPS, PlainVelocity, call, noise
from torch import Tensor

from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidOutput
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.pace import Pace
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.planning.plan_policy import PlanPolicy
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

SIGMAS = flow_sigmas(20, 3.0)


def smooth(x: Tensor, sigma: Tensor) -> Tensor:
    return torch.cos(3 * sigma) + 0.3 * x


def rough(x: Tensor, sigma: Tensor) -> Tensor:
    """What nobody foresees who knows the smooth one."""
    return smooth(x, sigma) + 2 * torch.sin(40 * sigma)


def start(seed: int = 0) -> Tensor:
    return torch.randn(2, 30, generator=torch.Generator().manual_seed(seed))


def taught() -> FastFlow:
    fast = FastFlow()
    for seed in range(4):
        fast.sample(smooth, start(seed), SIGMAS, key="k", evaluations=20)
    fast.statistics.trajectories["k"].response.add(np.full(20, 0.5), np.ones(20))
    return fast


def policy(budget: int = 7) -> PlanPolicy:
    known = taught().statistics.trajectories["k"]
    return PlanPolicy(known, TrajectoryTable.empty(20, known.grid), Pace(evaluations=budget), SIGMAS)


def test_once_misses_have_taught_what_is_ordinary_jobs_keep_their_plan():
    fast = taught()
    added = [fast.sample(smooth, start(seed), SIGMAS, key="k", evaluations=8)[1].added for seed in range(10, 30)]
    assert added[-10:] == [[]] * 10
    assert fast.sample(rough, start(9), SIGMAS, key="k", evaluations=8)[1].added


def test_what_float32_rounds_off_is_nobodys_miss():
    """A constant flow is foreseen exactly but for rounding."""
    fast = FastFlow()
    for seed in range(12):
        v = start(100 + seed)
        _, trace = fast.sample(lambda x, sigma, v=v: v, start(seed), SIGMAS, key="k", evaluations=7)
        assert trace.added == []


def test_a_job_out_of_its_band_is_evaluated_more_and_never_less():
    ours = policy()
    _, trace = planned(rough, start(9), SIGMAS, ours.plan, watch=ours.watch)
    assert ours.added
    assert trace.evaluated == sorted({*ours.plan.evaluated, *ours.added}) == list(trace.plan.evaluated)
    assert not set(ours.added) & set(ours.plan.evaluated)
    assert trace.nfe == ours.plan.evaluations + len(ours.added)


@pytest.mark.parametrize(("path", "is_followed"), [((0, 1, 5, 10, 13, 16, 18), False), ((0, 6, 7, 16), True)])
def test_the_next_skip_ahead_is_halved(path, is_followed):
    """Also where the first to miss is followed by an evaluation."""
    ours, seen, watched = policy(len(path)), Sightings(), []
    book = PlanBook(taught().statistics.trajectories["k"], SIGMAS.double().numpy())
    plan = book.along(ours.served.candidate, path).plan

    def watch(plan, seen):
        after = ours.watch(plan, seen)
        if after is not plan:
            step = seen.steps[-1]
            start, skipped = next(skip for skip in plan.skips if skip[0] >= step and skip[1])
            watched.append((start - step, skipped, after.skipped_after(start)))
            assert [k for k in after.evaluated if k <= step] == [k for k in plan.evaluated if k <= step]
        return after

    planned(rough, start(9), SIGMAS, plan, seen, watch)
    assert (watched[0][0] > 0) == is_followed
    assert all(after == (before + 1) // 2 - 1 for _, before, after in watched)


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_whoever_is_served_loop_and_machine_walk_the_same_bits_where_the_watch_adds(candidate):
    known = taught().statistics.trajectories["k"]
    for _ in range(30):
        known.audits.note(candidate.name, 6, 90.0)

    def fresh() -> PlanPolicy:
        return PlanPolicy(known, TrajectoryTable.empty(20, known.grid), Pace(evaluations=7), SIGMAS)

    in_loop, in_machine = fresh(), fresh()
    assert in_loop.served.candidate == candidate
    expected, spec = planned(rough, start(9), SIGMAS, in_loop.plan, watch=in_loop.watch)
    told = []
    machine = PlanMachine(in_machine.plan, lambda *what: told.append(what), in_machine.watch)
    x = start(9)
    for k in range(20):

        def euler(v, x, k=k):
            return x + (SIGMAS[k + 1] - SIGMAS[k]) * v

        x = machine.advance(torch.full_like(x, math.nan) if machine.is_skipping else rough(x, SIGMAS[k]), x, euler)
    machine.finish()
    assert bool(in_loop.added) == candidate.is_learnt, "a line would go on over a long skip from two close velocities"
    assert torch.equal(x, expected)
    assert (machine.trace.plan, machine.trace.skips, in_machine.added) == (spec.plan, spec.skips, in_loop.added)
    assert told[0][1] == spec.plan
    assert torch.equal(planned(rough, start(9), SIGMAS, spec.plan)[0], expected)


@pytest.mark.parametrize(("pace", "most"), [(Pace(evaluations=6), 3), (Pace(evaluations=3), 1)])
def test_who_asks_for_so_many_evaluations_gets_half_as_many_more_at_most(pace: Pace, most: int):
    known = taught().statistics.trajectories["k"]
    ours = PlanPolicy(known, TrajectoryTable.empty(20, known.grid), pace, SIGMAS)
    planned(rough, start(9), SIGMAS, ours.plan, watch=ours.watch)
    assert len(ours.added) == most


def test_who_is_promised_a_fidelity_gets_as_many_more_as_it_takes():
    known = taught().statistics.trajectories["k"]
    for _ in range(30):
        known.audits.note(CANDIDATES[0].name, boldness_of(20, 7), 90.0)
    ours = PlanPolicy(known, TrajectoryTable.empty(20, known.grid), Pace(fidelity_db=40.0), SIGMAS)
    planned(rough, start(9), SIGMAS, ours.plan, watch=ours.watch)
    assert len(ours.added) > ours.plan.evaluations / 2


def test_the_trace_counts_what_was_added_and_its_plan_makes_the_same_bits():
    fast = taught()
    x, trace = fast.sample(rough, start(9), SIGMAS, key="k", evaluations=7)
    assert trace.added
    assert len(trace.evaluated) == 7 + len(trace.added)
    again, replayed = FastFlow().sample(rough, start(9), SIGMAS, plan=trace.plan)
    assert torch.equal(again, x)
    assert (replayed.added, replayed.evaluated) == ([], trace.evaluated)


def test_a_plan_that_was_given_is_walked_as_it_is():
    plan = policy().plan
    _, trace = taught().sample(rough, start(9), SIGMAS, key="k", plan=plan)
    assert (trace.plan, trace.added, trace.expected_db, trace.audit_db) == (plan, [], None, None)


def test_a_network_that_breaks_is_out_of_its_band_and_is_found_out():
    ours = policy()

    def sick(x: Tensor, sigma: Tensor) -> Tensor:
        return smooth(x, sigma) * (math.nan if sigma < 0.8 else 1)

    with pytest.raises(InvalidOutput, match="not finite"):
        planned(sick, start(9), SIGMAS, ours.plan, watch=ours.watch)
    assert ours.added


def test_in_a_pipeline_the_watch_adds_as_in_the_loop(pipe):
    """The pipeline's network is changed after it was learnt from, so that its velocities leave the band."""
    sigmas, in_loop, in_pipeline = flow_sigmas(STEPS, 3.0), FastFlow(), FastFlow()
    with in_pipeline.attach(pipe, key="k", evaluations=6) as attached:
        call(pipe, latents=-noise())
        in_loop.sample(PlainVelocity(pipe, 3.0), -noise(), sigmas, key="k", evaluations=6)
        with torch.no_grad():
            pipe.transformer.proj_out.weight *= 3
        latents = call(pipe)
    trace, velocity = attached.trace, PlainVelocity(pipe, 3.0)
    assert trace.added
    assert len(trace.evaluated) == 6 + len(trace.added)
    assert torch.equal(planned(velocity, noise(), sigmas, trace.plan)[0], latents)
    known = in_loop.statistics.trajectories["k"]
    ours = PlanPolicy(known, TrajectoryTable.empty(STEPS, known.grid), Pace(evaluations=6), sigmas)
    x, spec = planned(velocity, noise(), sigmas, ours.plan, watch=ours.watch)
    assert torch.equal(x, latents)
    assert (spec.plan, ours.added) == (trace.plan, trace.added)
