"""The plan machine against the loop it has to agree with, and what it does to a caller that rounds or alters x."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import REMEMBERED, Plan
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings

SIGMAS = flow_sigmas(8, 3.0)
PLAN = Plan(
    8, (0, 1, 2, 5, 6), {3: (-1.0, 2.0), 4: (-1.5, 2.5), 7: (-0.5, 1.5)}, {5: (0.01, -0.2, -0.1)}, respond={5: 0.5}
)


def field(x: Tensor, sigma: Tensor) -> Tensor:
    """A curved flow without a network."""
    return torch.sin(3 * x) * (1 - sigma) + sigma * x


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def learn_nothing(seen, plan) -> None:
    """For who only walks."""


def network(machine, x, sigma) -> Tensor:
    return torch.full_like(x, torch.nan) if machine.is_skipping else field(x, sigma)


def walk(machine, x, sigmas=SIGMAS, dtype=torch.float32, alter=lambda step, x: x):
    """Drive it as a pipeline of that dtype does, which alters what it was handed."""
    for k in range(len(sigmas) - 1):

        def euler(v, x, k=k):
            return x + (sigmas[k + 1] - sigmas[k]) * v

        x = machine.advance(network(machine, x, sigmas[k]).to(dtype), x, euler).to(dtype)
        x = alter(k, x)
    machine.finish()
    return x


@st.composite
def plans(draw):
    steps = draw(st.integers(4, 30))
    skipped = draw(st.sets(st.integers(1, steps - 1)))
    evaluated = tuple(k for k in range(steps) if k not in skipped)

    def row(step):
        known = sum(k <= step for k in evaluated)
        longest = REMEMBERED + (step in evaluated)
        return tuple(draw(st.lists(st.floats(-2, 2), min_size=1, max_size=longest))[:known])

    ends = [k for k in evaluated if k - 1 in skipped]
    again = draw(st.sets(st.sampled_from(ends))) if ends else set()
    respond = {k: draw(st.floats(-2, 2)) for k in again if draw(st.booleans())}
    return Plan(steps, evaluated, {k: row(k) for k in skipped}, {k: row(k) for k in again}, respond=respond)


@given(plan=plans(), shift=st.floats(0.5, 10))
def test_it_is_the_loop_bit_for_bit_whatever_the_plan(plan, shift):
    sigmas, in_loop, in_machine = flow_sigmas(plan.steps, shift), Sightings(), []
    expected, spec = planned(field, noise(2, 5), sigmas, plan, in_loop)
    machine = PlanMachine(plan, lambda *told: in_machine.append(told))
    assert torch.equal(walk(machine, noise(2, 5), sigmas), expected)
    machine.trace.nfe = spec.nfe  # counted by whoever runs the network
    assert machine.trace == spec
    ((seen, walked),) = in_machine
    assert walked == plan
    assert seen.steps == in_loop.steps
    assert (seen.x == in_loop.x).all()
    assert (seen.v == in_loop.v).all()


def test_a_caller_that_rounds_x_does_not_round_ours():
    expected, _ = planned(lambda x, sigma: field(x.bfloat16(), sigma).bfloat16(), noise(2, 5), SIGMAS, PLAN)
    machine = PlanMachine(PLAN, learn_nothing)
    assert torch.equal(walk(machine, noise(2, 5), dtype=torch.bfloat16), expected.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_caller_that_hands_back_a_copy_changes_nothing(dtype):
    handed_back, copied = (
        walk(PlanMachine(PLAN, learn_nothing), noise(2, 5), dtype=dtype, alter=alter)
        for alter in (lambda k, x: x, lambda k, x: x.clone())
    )
    assert torch.equal(handed_back, copied)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_a_caller_alters_stays_altered_though_the_skip_is_gone_again(dtype):
    """A flow that stands still, and a caller that adds 1 after every step, in the skip of steps 3 and 4 too."""
    still = [torch.zeros(2, 5)]
    machine = PlanMachine(PLAN, learn_nothing)
    for _ in range(8):
        x = machine.advance(torch.zeros(2, 5, dtype=dtype), still[-1], lambda v, x: x + v)
        still.append(x.to(dtype) + 1)
    assert torch.equal(still[-1], torch.full((2, 5), 8, dtype=dtype))


class Waits(TorchDispatchMode):
    """Counts the reads of a number, for each of which a device would have to be waited for."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_never_waits_for_the_device(dtype):
    with Waits() as waits:
        walk(PlanMachine(PLAN, learn_nothing), noise(2, 5), dtype=dtype, alter=lambda step, x: x.clone())
        assert waits.count == 0
        float(torch.ones(1))
        assert waits.count == 1


def test_it_holds_three_tensors_beside_x_and_none_in_the_end():
    x = noise(2, 40, 40)

    def held() -> int:
        large = [t for t in gc.get_objects() if type(t) is Tensor and t.untyped_storage().nbytes() >= x.nbytes]
        return len({t.untyped_storage().data_ptr() for t in large})

    before, counts = held(), []
    machine = PlanMachine(PLAN, learn_nothing)
    walk(machine, x, alter=lambda step, x: counts.append(held() - before - 1) or x)
    assert max(counts) == 3
    gc.collect()
    assert held() == before
