"""The diffusers installation against the plain loop, and what it leaves behind."""

from __future__ import annotations

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from small_wan import BOUNDARY, SHIFT, STEPS, PlainVelocity, call, count_calls, machines, noise

from fastflow_ray.errors import AccelerationUnavailable, InvalidInput, InvalidOutput, StatisticsMismatch
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.attachment import attach
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.skip_policy import NoSkips


class EverySkip(NoSkips):
    """Skips `length` steps wherever that many are allowed."""

    def __init__(self, length: int) -> None:
        self.length = length

    def choose(self, step: int, longest: int) -> int:
        return min(self.length, longest)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_skips_it_is_the_stock_pipeline_and_the_euler_loop(pipe, guidance):
    stock = call(pipe, guidance)
    with attach(pipe, machines(NoSkips)) as attached:
        accelerated = call(pipe, guidance)
    assert torch.equal(accelerated, stock)
    assert torch.equal(euler(PlainVelocity(pipe, guidance), noise(), flow_sigmas(STEPS, SHIFT)), stock)
    assert attached.trace.nfe == STEPS * (2 if guidance > 1 else 1)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("length", [1, 2, 4])
def test_with_skips_it_is_the_plain_loop_bit_for_bit(pipe, guidance, length):
    expected, spec = fastflow(PlainVelocity(pipe, guidance), noise(), flow_sigmas(STEPS, SHIFT), EverySkip(length))
    calls = count_calls(pipe.transformer)
    with attach(pipe, machines(EverySkip, length)) as attached:
        latents = call(pipe, guidance)
    trace = attached.trace
    assert torch.equal(latents, expected)
    assert (trace.evaluated, trace.skips, trace.errors) == (spec.evaluated, spec.skips, spec.errors)
    assert trace.skipped > 0
    assert trace.nfe == len(calls) == len(trace.evaluated) * (2 if guidance > 1 else 1)


def test_learning_over_calls_is_the_same_in_pipeline_and_loop(pipe):
    in_loop, in_pipeline = FastFlow(), FastFlow()
    sigmas, velocity = flow_sigmas(STEPS, SHIFT), PlainVelocity(pipe, 3.0)
    expected = [in_loop.sample(velocity, noise(), sigmas, key="k") for _ in range(4)]
    with in_pipeline.attach(pipe, key="k") as attached:
        for latents, trace in expected:
            assert torch.equal(call(pipe), latents)
            assert attached.trace.errors == trace.errors
    assert in_pipeline.statistics.to_json() == in_loop.statistics.to_json()
    assert expected[-1][1].skipped > 0


def test_the_second_expert_starts_a_new_history(pipe_of_two_experts):
    sigmas = flow_sigmas(STEPS, SHIFT)
    change = int((sigmas * 1000 >= BOUNDARY * 1000).sum())
    velocity = PlainVelocity(pipe_of_two_experts, 3.0)
    expected, spec = fastflow(velocity, noise(), sigmas, EverySkip(1), restarts={change})
    calls = count_calls(pipe_of_two_experts.transformer_2)
    with attach(pipe_of_two_experts, machines(EverySkip, 1)) as attached:
        latents = call(pipe_of_two_experts)
    assert torch.equal(latents, expected)
    assert attached.trace.errors == spec.errors
    assert {change - 1, change, change + 1} <= set(attached.trace.evaluated)
    assert 2 * sum(k >= change for k in attached.trace.evaluated) == len(calls)


def test_two_experts_without_skips_are_the_stock_pipeline(pipe_of_two_experts):
    stock = call(pipe_of_two_experts)
    with attach(pipe_of_two_experts, machines(NoSkips)):
        assert torch.equal(call(pipe_of_two_experts), stock)


def test_a_checkpoint_with_unipc_runs_on_the_flow_euler_grid_of_its_shift(pipe):
    reference = call(pipe)
    pipe.scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)
    with attach(pipe, machines(NoSkips)):
        assert torch.equal(call(pipe), reference)
    assert type(pipe.scheduler) is UniPCMultistepScheduler


def test_the_trace_grows_while_the_pipeline_runs(pipe):
    seen = []

    def look(_pipe, step, _timestep, _tensors):
        seen.append((step + 1, len(attached.trace.evaluated), attached.trace.nfe))
        return {}

    with attach(pipe, machines(EverySkip, 2)) as attached:
        assert attached.trace.steps == 0
        call(pipe, callback_on_step_end=look)
    assert seen[:5] == [(1, 1, 2), (2, 2, 4), (3, 2, 4), (4, 2, 4), (5, 3, 6)]
    assert seen[-1][:2] == (STEPS, len(attached.trace.evaluated))


def test_the_pipeline_is_itself_again_even_after_an_exception(pipe):
    stock, scheduler = call(pipe), pipe.scheduler

    class Stop(Exception):
        pass

    def stop(_pipe, step, _timestep, _tensors):
        if step == 5:
            raise Stop
        return {}

    fast = FastFlow()
    with pytest.raises(Stop), fast.attach(pipe, key="k"):
        call(pipe, callback_on_step_end=stop)
    assert pipe.scheduler is scheduler
    assert pipe.config["scheduler"] == ("diffusers", "FlowMatchEulerDiscreteScheduler")
    assert "fastflow_gate" not in pipe.transformer._diffusers_hook.hooks
    assert torch.equal(call(pipe), stock)
    table = fast.statistics.tables["k"]
    assert (table.runs, table.scale_runs, int(table.pulls.sum())) == (0, 0, 4)  # errors seen, but no scale from half


def test_a_call_after_an_aborted_one_starts_afresh(pipe):
    def stop(_pipe, step, _timestep, _tensors):
        if step == 3:
            raise KeyboardInterrupt
        return {}

    with attach(pipe, machines(EverySkip, 2)) as attached:
        expected = call(pipe)
        with pytest.raises(KeyboardInterrupt):
            call(pipe, callback_on_step_end=stop)
        assert torch.equal(call(pipe), expected)
        assert attached.trace.nfe == 2 * len(attached.trace.evaluated)


def test_attaching_twice_is_refused_and_leaves_the_first_alone(pipe):
    fast = FastFlow()
    with fast.attach(pipe) as attached:
        with pytest.raises(InvalidInput, match="leave the first"), FastFlow().attach(pipe):
            pass
        call(pipe)
        assert attached.trace.nfe == 2 * STEPS


def test_gates_outlive_offloading(pipe):
    """Model offloading restores the forward it saw when it was enabled, at the end of every pipeline call."""
    add_hook_to_module(pipe.transformer, ModelHook())
    with attach(pipe, machines(EverySkip, 2)) as attached:
        first = call(pipe)
        remove_hook_from_module(pipe.transformer, recurse=True)
        add_hook_to_module(pipe.transformer, ModelHook())
        assert torch.equal(call(pipe), first)
        assert attached.trace.nfe == 2 * len(attached.trace.evaluated)
        add_hook_to_module(pipe.transformer, ModelHook())
        assert torch.equal(call(pipe), first)


def test_a_network_that_slips_past_its_gate_is_an_error_and_not_a_slow_run(pipe):
    def take_the_gate_away(*_):
        pipe.transformer.__dict__.pop("forward")
        return {}

    with attach(pipe, machines(EverySkip, 2)), pytest.raises(AccelerationUnavailable, match="gate"):
        call(pipe, callback_on_step_end=take_the_gate_away)


@pytest.mark.parametrize(
    "scheduler", [DDIMScheduler(), UniPCMultistepScheduler(), FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)]
)
def test_schedulers_that_follow_no_flow_are_refused(pipe, scheduler):
    pipe.scheduler = scheduler
    with pytest.raises(AccelerationUnavailable, match="FlowMatchEulerDiscreteScheduler"), FastFlow().attach(pipe):
        pass
    assert pipe.scheduler is scheduler


def test_pipelines_without_a_fitting_transformer_are_refused(pipe):
    transformer, pipe.transformer = pipe.transformer, torch.nn.Identity()
    with pytest.raises(AccelerationUnavailable, match="Identity has no cache_context"), FastFlow().attach(pipe):
        pass
    pipe.transformer = None
    with pytest.raises(AccelerationUnavailable, match="no transformer"), FastFlow().attach(pipe):
        pass
    pipe.transformer = transformer
    with FastFlow().attach(pipe):
        call(pipe)


def test_too_few_steps_to_skip_any_are_refused(pipe):
    with FastFlow().attach(pipe), pytest.raises(InvalidInput, match="at least 4"):
        call(pipe, steps=3)


def test_a_key_belongs_to_one_grid(pipe):
    with FastFlow().attach(pipe, key="k"):
        call(pipe)
        with pytest.raises(StatisticsMismatch, match="'k'"):
            call(pipe, steps=STEPS + 1)


def test_without_a_key_unlike_calls_do_not_mix(pipe):
    fast = FastFlow()
    with fast.attach(pipe):
        call(pipe)
        call(pipe, guidance=4.0)
        call(pipe, steps=STEPS + 1)
        call(pipe, width=48, latents=None)
        call(pipe)
    assert sorted(table.runs for table in fast.statistics.tables.values()) == [1, 1, 1, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sick_model_is_found_out(pipe, value):
    with torch.no_grad():
        pipe.transformer.proj_out.bias[0] = value
    with FastFlow().attach(pipe), pytest.raises(InvalidOutput, match="not finite"):
        call(pipe)
