"""Networks that are careless with buffers: every sampler walks as it does with one that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput, InvalidOutput
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.skip_policy import NoSkips
from fastflow_ray.sampling.step_machine import StepMachine
from fastflow_ray.sampling.velocity import Velocity

SIGMAS = flow_sigmas(8, 3.0)
PLAN = Plan(
    8, (0, 1, 2, 5, 6), {3: (-1.0, 2.0), 4: (-1.5, 2.5), 7: (-0.5, 1.5)}, {5: (0.01, -0.2, -0.1)}, respond={5: 0.5}
)


class SkipOne(NoSkips):
    def choose(self, step: int, longest: int) -> int:
        return min(1, longest)


def field(x: Tensor, sigma: Tensor) -> Tensor:
    return torch.sin(3 * x) * (1 - sigma) + sigma * x


def one_buffer() -> Velocity:
    """As a captured CUDA graph answers."""
    buffer = torch.empty(2, 5)
    return lambda x, sigma: buffer.copy_(field(x, sigma))


def in_place() -> Velocity:
    """Leaves nothing of what it was given."""

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        v = field(x, sigma)
        x.zero_()
        sigma.mul_(1000)
        return v

    return velocity


def noise() -> Tensor:
    return torch.randn(2, 5, generator=torch.Generator().manual_seed(0))


LOOPS: dict[str, Callable[[Velocity, Tensor, Tensor], Tensor]] = {
    "euler": euler,
    "fastflow": lambda *of: fastflow(*of, SkipOne())[0],
    "planned": lambda *of: planned(*of, PLAN)[0],
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("careless", [one_buffer, in_place])
def test_what_a_network_does_to_its_buffers_changes_nothing(
    loop: Callable[[Velocity, Tensor, Tensor], Tensor], careless: Callable[[], Velocity]
) -> None:
    x, sigmas = noise(), SIGMAS.clone()
    assert torch.equal(loop(careless(), x, sigmas), loop(field, noise(), SIGMAS))
    assert torch.equal(x, noise()), "the noise is the caller's"
    assert torch.equal(sigmas, SIGMAS), "and so is the grid"


@pytest.mark.parametrize(
    "machine",
    [lambda: PlanMachine(PLAN, lambda *_: None), lambda: StepMachine(SIGMAS, SkipOne())],
    ids=["plan", "step"],
)
def test_machines_remember_what_a_network_answered_and_not_its_buffer(
    machine: Callable[[], PlanMachine | StepMachine],
) -> None:
    assert torch.equal(driven(machine(), one_buffer()), driven(machine(), field))


def driven(machine: PlanMachine | StepMachine, velocity: Velocity) -> Tensor:
    x, answer = noise(), torch.zeros(2, 5)
    for k in range(8):
        answer = answer if machine.is_skipping else velocity(x, SIGMAS[k])
        x = machine.advance(answer, x, lambda v, x, k=k: x + (SIGMAS[k + 1] - SIGMAS[k]) * v)
    return x


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda x, _: x[:1],
        lambda x, _: x[:, :3],
        lambda x, _: x.expand(3, 2, 5),
        lambda _, sigma: sigma,
        lambda x, _: x.to(torch.complex64),
        lambda x, _: x.numpy(),
        lambda x, _: (x,),
        lambda x, _: x.to_sparse(),
        lambda *_: None,
    ],
)
def test_an_answer_that_is_no_velocity_of_x_is_refused(
    loop: Callable[[Velocity, Tensor, Tensor], Tensor], answer: Velocity
) -> None:
    with pytest.raises(InvalidInput, match=r"of the shape of x, \(2, 5\); it is of"):
        loop(answer, noise(), SIGMAS)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize(
    "x",
    [
        torch.tensor(1.0),
        torch.zeros(0, 4),
        torch.zeros(3, 0),
        torch.zeros(2, 5, dtype=torch.complex64),
        [[1.0]],
        noise().numpy(),
    ],
)
def test_what_is_no_noise_is_refused(loop: Callable[[Velocity, Tensor, Tensor], Tensor], x: Tensor) -> None:
    with pytest.raises(InvalidInput, match="x has to be noise"):
        loop(field, x, SIGMAS)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_noise_that_is_not_finite_is_not_laid_to_the_model(
    loop: Callable[[Velocity, Tensor, Tensor], Tensor], number: float
) -> None:
    x = noise().double()
    x[1, 3] = number
    with pytest.raises(InvalidInput, match="x has to be noise, and has NaN"):
        loop(field, x, SIGMAS)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_what_cannot_be_called_is_no_velocity(loop: Callable[[Velocity, Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(InvalidInput, match="velocity has to be a function of x and sigma; it is of type int"):
        loop(3, noise(), SIGMAS)  # type: ignore[arg-type]


def test_skipping_is_named_where_it_may_have_led_the_network_astray() -> None:
    def overflowing(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.where(sigma < 0.5, torch.inf, 1.0) + x

    with pytest.raises(InvalidOutput, match=r"the sample is not finite; skip fewer than 3 steps, check the model"):
        planned(overflowing, noise(), SIGMAS, PLAN)
    with pytest.raises(InvalidOutput, match=r"the sample is not finite; check the model"):
        euler(overflowing, noise(), SIGMAS)
