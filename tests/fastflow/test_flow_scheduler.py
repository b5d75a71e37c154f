"""The scheduler without a pipeline."""

from __future__ import annotations

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from small_wan import machines

from fastflow_ray.errors import InvalidOutput
from fastflow_ray.models.scheduler import FastFlowScheduler, flow_euler
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.skip_policy import NoSkips


class SkipTwo(NoSkips):
    """Skips two steps wherever that is allowed."""

    def choose(self, step: int, longest: int) -> int:
        return 2 if longest >= 2 else 0


def velocity(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return torch.sin(3 * sigma) - 0.5 * x


def drive(scheduler: FlowMatchEulerDiscreteScheduler, x: torch.Tensor, begin: int = 0) -> torch.Tensor:
    scheduler.set_begin_index(begin)
    for k, timestep in enumerate(scheduler.timesteps[begin:], start=begin):
        x = scheduler.step(velocity(x, scheduler.sigmas[k]).to(x.dtype), timestep, x).prev_sample
    return x


@pytest.mark.parametrize("shift", [1.0, 5.0, 3.7])
def test_the_reference_of_a_unipc_checkpoint_has_its_shift(shift):
    unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    reference = flow_euler(unipc)
    reference.set_timesteps(20)
    assert torch.equal(reference.sigmas, flow_sigmas(20, shift))


def test_another_shift_may_be_asked_for_also_of_a_dynamic_grid():
    reference = flow_euler(FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), shift=7.0)
    reference.set_timesteps(20, mu=1.0)
    assert torch.equal(reference.sigmas, flow_sigmas(20, 7.0))


def test_a_shift_set_at_run_time_is_kept():
    stock = FlowMatchEulerDiscreteScheduler(shift=3.0)
    stock.set_shift(6.0)
    fast = FastFlowScheduler.like(stock, machines(NoSkips))
    for scheduler in (stock, fast):
        scheduler.set_timesteps(15)
    assert torch.equal(fast.sigmas, stock.sigmas)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_evaluated_steps_are_the_stock_schedulers_own_in_every_dtype(dtype):
    stock = FlowMatchEulerDiscreteScheduler(shift=3.0)
    fast = FastFlowScheduler.like(stock, machines(NoSkips))
    x = torch.linspace(-1, 1, 7).to(dtype)
    for scheduler in (stock, fast):
        scheduler.set_timesteps(10)
    assert torch.equal(drive(fast, x), drive(stock, x))


def test_skipped_steps_keep_the_models_dtype():
    fast = FastFlowScheduler.like(FlowMatchEulerDiscreteScheduler(shift=3.0), machines(SkipTwo))
    fast.set_timesteps(10)
    assert drive(fast, torch.ones(3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert fast.trace.skipped > 0


def test_a_sample_that_overflows_although_every_velocity_is_finite_is_found_out():
    fast = FastFlowScheduler.like(FlowMatchEulerDiscreteScheduler(shift=3.0), machines(SkipTwo))
    fast.set_timesteps(10)
    x, constant = torch.full((3,), 6e4, dtype=torch.float16), torch.full((3,), -6e4, dtype=torch.float16)
    for timestep in fast.timesteps[:-1]:
        x = fast.step(constant, timestep, x, return_dict=False)[0]
    with pytest.raises(InvalidOutput, match="sample is not finite"):
        fast.step(constant, fast.timesteps[-1], x)


def test_a_video_to_video_run_starts_midway_with_a_trajectory_of_its_own():
    grids = []
    fast = FastFlowScheduler.like(
        FlowMatchEulerDiscreteScheduler(shift=3.0), lambda *given: grids.append(given) or machines(SkipTwo)(*given)
    )
    fast.set_timesteps(14)
    x = drive(fast, torch.ones(2, 3), begin=4)
    assert fast.trace.evaluated == [0, 1, 4, 7, 8, 9]  # counted from where it started
    ((sigmas, shape, restarts),) = grids
    assert torch.equal(sigmas, fast.sigmas[4:])
    assert (shape, restarts) == ((2, 3), frozenset())
    assert torch.isfinite(x).all()


def test_a_grid_that_counts_the_other_way_works_too():
    """Mochi's sigmas rise from 0 to 1."""
    fast = FastFlowScheduler.like(FlowMatchEulerDiscreteScheduler(invert_sigmas=True), machines(SkipTwo))
    fast.set_timesteps(12)
    exact = torch.ones(3)
    x = torch.zeros(3)
    for k, timestep in enumerate(fast.timesteps):  # dx/dsigma = 2·sigma is a line: predictions are exact
        x = fast.step(2 * fast.sigmas[k] * exact, timestep, x, return_dict=False)[0]
    euler = sum(2 * s * (after - s) for s, after in zip(fast.sigmas[:-1], fast.sigmas[1:], strict=True))
    torch.testing.assert_close(x, euler * exact)
    assert fast.trace.skipped > 0


def test_it_agrees_with_the_plain_loop_on_an_analytic_field():
    fast = FastFlowScheduler.like(FlowMatchEulerDiscreteScheduler(shift=3.0), machines(SkipTwo))
    fast.set_timesteps(20)
    x = torch.linspace(-1, 1, 5)
    expected, spec = fastflow(velocity, x, flow_sigmas(20, 3.0), SkipTwo())
    assert torch.equal(drive(fast, x), expected)
    assert fast.trace.errors == spec.errors
