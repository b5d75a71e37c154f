"""A learned plan inside an unchanged pipeline: the plain loop's bits, what is learnt, and replay."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from small_wan import BOUNDARY, SHIFT, STEPS, PlainVelocity, call, count_calls, noise

from fastflow_ray.errors import AccelerationUnavailable, InvalidInput, InvalidOutput, StatisticsMismatch
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.scheduler import FastFlowScheduler
from fastflow_ray.planning.learned_plan import every_step
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.planned import planned

BUDGET = 6


def taught(pipe) -> FastFlow:
    """What one full run of another seed teaches."""
    fast = FastFlow()
    with fast.attach(pipe, key="k", evaluations=BUDGET):
        call(pipe, latents=-noise())
    return fast


def mse(a, b) -> float:
    return float((a.float() - b.float()).square().mean())


def test_a_learned_plan_at_19_of_50_with_guidance_is_the_plain_loop_bit_for_bit(pipe):
    sigmas, velocity = flow_sigmas(50, SHIFT), PlainVelocity(pipe, 3.0)
    in_loop, in_pipeline = FastFlow(), FastFlow()
    in_loop.sample(velocity, -noise(), sigmas, key="k", evaluations=19)
    with in_pipeline.attach(pipe, key="k", evaluations=19) as attached:
        call(pipe, steps=50, latents=-noise())
        assert attached.trace.nfe == 100, "the first call evaluates every step"
        calls = count_calls(pipe.transformer)
        latents = call(pipe, steps=50)
    trace = attached.trace
    assert trace.nfe == len(calls) == 2 * (19 + len(trace.added))
    expected, spec = planned(velocity, noise(), sigmas, trace.plan)
    assert torch.equal(latents, expected)
    assert (trace.evaluated, trace.skips, trace.skipped) == (spec.evaluated, spec.skips, 31 - len(trace.added))
    book = PlanBook(in_loop.statistics.trajectories["k"], sigmas.double().numpy())
    candidate, plan, _ = book.served(19)
    for step in trace.added:
        plan = book.with_evaluation(plan, step, candidate)
    assert trace.plan == plan, "drawn up from what the loop learns"


def test_a_plan_without_skips_is_the_stock_pipeline_bit_for_bit(pipe):
    stock = call(pipe)
    with FastFlow().attach(pipe, plan=every_step(STEPS)) as attached:
        assert torch.equal(call(pipe), stock)
    assert attached.trace.nfe == 2 * STEPS


def test_every_call_teaches_the_same_as_in_the_loop(pipe):
    """But for how far predictions missed, which a plan that was given says nothing of."""
    in_loop, in_pipeline = FastFlow(), taught(pipe)
    velocity, sigmas = PlainVelocity(pipe, 3.0), flow_sigmas(STEPS, SHIFT)
    in_loop.sample(velocity, -noise(), sigmas, key="k", evaluations=BUDGET)
    with in_pipeline.attach(pipe, key="k", speedup=STEPS / BUDGET) as attached:
        call(pipe)
    in_loop.sample(velocity, noise(), sigmas, key="k", plan=attached.trace.plan)
    ours, theirs = in_pipeline.statistics.trajectories["k"], in_loop.statistics.trajectories["k"]
    assert (ours.runs, ours.full_runs) == (2, 1)
    ours_told, theirs_told = (
        {name: told for name, told in table.to_dict().items() if name != "misses"} for table in (ours, theirs)
    )
    assert ours_told == theirs_told
    assert ours.misses.count.sum() > theirs.misses.count.sum() == 0


def test_a_plan_walked_again_gives_the_same_bits_and_needs_no_knowledge(pipe):
    with taught(pipe).attach(pipe, key="k", evaluations=BUDGET) as attached:
        latents = call(pipe)
    plan, again = Plan.from_dict(attached.trace.plan.to_dict()), FastFlow()
    with again.attach(pipe, plan=plan) as replayed:
        assert torch.equal(call(pipe), latents)
    assert replace(replayed.trace, snapshot=None) == replace(attached.trace, snapshot=None, added=[])
    x, trace = again.sample(PlainVelocity(pipe, 3.0), noise(), flow_sigmas(STEPS, SHIFT), plan=plan)
    assert torch.equal(x, latents)
    assert trace.audit_db is None


def test_the_trace_grows_while_the_pipeline_runs(pipe):
    seen = []

    def look(_pipe, step, _timestep, _tensors):
        seen.append((len(attached.trace.evaluated), attached.trace.nfe))
        return {}

    with taught(pipe).attach(pipe, key="k", evaluations=BUDGET) as attached:
        call(pipe, callback_on_step_end=look)
    evaluated = attached.trace.plan.evaluated
    assert seen == [(n, 2 * n) for step in range(STEPS) for n in [sum(k <= step for k in evaluated)]]


def test_the_second_expert_is_met_with_two_evaluations_and_no_history(pipe_of_two_experts):
    sigmas, pipe = flow_sigmas(STEPS, SHIFT), pipe_of_two_experts
    change = int((sigmas * 1000 >= BOUNDARY * 1000).sum())
    with taught(pipe).attach(pipe, key="k", evaluations=BUDGET) as attached:
        latents = call(pipe)
    plan = attached.trace.plan
    assert {change, change + 1} <= set(plan.evaluated)
    assert change not in plan.integrate
    expected, _ = planned(PlainVelocity(pipe, 3.0), noise(), sigmas, plan)
    assert torch.equal(latents, expected)


def test_a_bf16_model_is_followed_in_float32(pipe):
    sigmas, fast = flow_sigmas(STEPS, SHIFT), taught(pipe)
    full = call(pipe)
    half = copy.deepcopy(pipe).to(torch.bfloat16)
    with fast.attach(half, key="k", evaluations=BUDGET) as attached:
        latents = call(half)
    assert latents.dtype == torch.bfloat16

    def velocity(x, sigma):
        return PlainVelocity(half, 3.0)(x.bfloat16(), sigma)

    expected, _ = planned(velocity, noise(), sigmas, attached.trace.plan)
    assert torch.equal(latents, expected.bfloat16())
    rounded = call(half)  # the stock pipeline rounds x after every step
    with FastFlow().attach(half, plan=every_step(STEPS)):
        assert mse(call(half), full) < 2 * mse(rounded, full)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sick_model_is_found_out_and_teaches_nothing(pipe, value):
    fast = taught(pipe)
    before = fast.statistics.trajectories["k"].to_dict()
    with torch.no_grad():
        pipe.transformer.proj_out.bias[0] = value
    with fast.attach(pipe, key="k", evaluations=BUDGET), pytest.raises(InvalidOutput, match="not finite"):
        call(pipe)
    assert fast.statistics.trajectories["k"].to_dict() == before


def test_a_call_after_an_aborted_one_starts_afresh(pipe):
    def stop(_pipe, step, _timestep, _tensors):
        if step == 7:
            raise KeyboardInterrupt
        return {}

    fast = taught(pipe)
    with fast.attach(pipe, key="k", evaluations=BUDGET) as attached:
        with pytest.raises(KeyboardInterrupt):
            call(pipe, callback_on_step_end=stop)
        assert fast.statistics.trajectories["k"].runs == 1
        latents = call(pipe)
    expected, _ = planned(PlainVelocity(pipe, 3.0), noise(), flow_sigmas(STEPS, SHIFT), attached.trace.plan)
    assert torch.equal(latents, expected)


def test_without_a_key_unlike_calls_do_not_mix(pipe):
    fast = FastFlow()
    with fast.attach(pipe, evaluations=BUDGET) as attached:
        for more in ({}, {"guidance": 4.0}, {"steps": STEPS + 1}, {"width": 48, "latents": None}, {}):
            call(pipe, **more)
    assert attached.trace.skipped == STEPS - BUDGET
    assert sorted(table.runs for table in fast.statistics.trajectories.values()) == [1, 1, 1, 2]


def test_a_key_belongs_to_one_grid(pipe):
    with taught(pipe).attach(pipe, key="k", evaluations=BUDGET), pytest.raises(StatisticsMismatch, match="'k'"):
        call(pipe, steps=STEPS + 1)


@pytest.mark.parametrize("pace", [{"evaluations": STEPS + 1}, {"plan": every_step(STEPS + 1)}])
def test_a_pace_that_cannot_be_kept_ends_the_call(pipe, pace):
    with FastFlow().attach(pipe, **pace), pytest.raises(InvalidInput, match=r"ask for|plan for this grid"):
        call(pipe)


def test_a_video_to_video_run_is_planned_from_where_it_starts():
    plans = []

    def machine_for(sigmas, shape, restarts):
        plans.append(every_step(len(sigmas) - 1))
        return PlanMachine(plans[-1], lambda *_: None)

    fast = FastFlowScheduler.like(FlowMatchEulerDiscreteScheduler(shift=3.0), machine_for)
    fast.set_timesteps(14)
    fast.set_begin_index(4)
    x = torch.ones(2, 3)
    for timestep in fast.timesteps[4:]:
        x = fast.step(torch.ones(2, 3), timestep, x, return_dict=False)[0]
    assert [plan.steps for plan in plans] == [10]
    torch.testing.assert_close(x, torch.ones(2, 3) - fast.sigmas[4])


def test_a_pipeline_that_gives_each_token_a_sigma_is_refused():
    fast = FastFlowScheduler.like(
        FlowMatchEulerDiscreteScheduler(), lambda *_: PlanMachine(every_step(10), lambda *_: None)
    )
    fast.set_timesteps(10)
    with pytest.raises(AccelerationUnavailable, match="without a plan"):
        fast.step(torch.ones(1, 3, 1), fast.timesteps[0], torch.ones(1, 3, 1), per_token_timesteps=torch.ones(1, 3))
