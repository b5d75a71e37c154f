"""The step machine against the loop it has to agree with."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.skip_policy import NoSkips
from fastflow_ray.sampling.step_machine import StepMachine


class Wishes(NoSkips):
    """Skips as far as wished for at each step and allowed; keeps everything it was asked and told."""

    def __init__(self, wishes: list[int]) -> None:
        self.wishes, self.log = wishes, []

    def choose(self, step: int, longest: int) -> int:
        self.log.append(("choose", step, longest))
        return min(self.wishes[step], longest)

    def observe(self, step: int, skipped: int, error: float) -> None:
        self.log.append(("observe", step, skipped, error))

    def finish(self) -> None:
        self.log.append("finish")


def field(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return torch.sin(4 * sigma + x) * x.flip(0)


@st.composite
def runs(draw):
    steps = draw(st.integers(4, 30))
    wishes = draw(st.lists(st.integers(0, 9), min_size=steps, max_size=steps))
    return steps, wishes, draw(st.sets(st.integers(1, steps), max_size=2))


@given(run=runs(), shift=st.floats(0.5, 10), seed=st.integers(0, 99))
def test_it_is_the_loop_bit_for_bit_whatever_the_policy(run, shift, seed):
    steps, wishes, restarts = run
    sigmas = flow_sigmas(steps, shift)
    noise = torch.randn(5, generator=torch.Generator().manual_seed(seed))
    expected, spec = fastflow(field, noise, sigmas, in_loop := Wishes(wishes), restarts)

    x, machine = noise, StepMachine(sigmas, in_machine := Wishes(wishes), restarts)
    for k in range(steps):
        answer = torch.full_like(x, torch.nan) if machine.is_skipping else field(x, sigmas[k])
        x = machine.advance(answer, x, lambda v, x, k=k: x + (sigmas[k + 1] - sigmas[k]) * v)
    machine.finish()

    assert torch.equal(x, expected)
    assert in_machine.log == in_loop.log
    machine.trace.nfe = spec.nfe  # counted by whoever runs the network
    assert machine.trace == spec


def test_an_evaluated_velocity_is_passed_through_untouched_and_a_predicted_one_is_float32():
    machine = StepMachine(flow_sigmas(6, 3.0), Wishes([2] * 6))
    given_velocity, integrated = torch.ones(2, dtype=torch.bfloat16), []
    for _ in range(3):
        machine.advance(given_velocity, given_velocity, lambda v, x: integrated.append(v) or x)
    assert integrated[0] is given_velocity
    assert integrated[1] is given_velocity
    assert machine.trace.evaluated == [0, 1]
    assert integrated[2].dtype == torch.float32
