"""FastFlow's loop on velocity fields whose answer is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.errors import InvalidInput, InvalidOutput
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.skip_policy import NoSkips
from fastflow_ray.sampling.skips import longest_skip


class Script(NoSkips):
    """Skips as written down, 0 where nothing is; keeps what it was told."""

    def __init__(self, skips: dict[int, int]) -> None:
        self.skips, self.asked, self.told, self.finished = skips, [], [], 0

    def choose(self, step: int, longest: int) -> int:
        self.asked.append((step, longest))
        return self.skips.get(step, 0)

    def observe(self, step: int, skipped: int, error: float) -> None:
        self.told.append((step, skipped, error))

    def finish(self) -> None:
        self.finished += 1


class Recorded:
    """A velocity field that remembers at which sigmas it was evaluated."""

    def __init__(self, field) -> None:
        self.field, self.sigmas = field, []

    def __call__(self, x, sigma):
        self.sigmas.append(sigma)
        return self.field(x, sigma)


TINY = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.125, 0.0])


def test_without_skips_it_is_euler_bit_for_bit():
    def field(x, sigma):
        return torch.cos(5 * sigma) * x + sigma

    x, sigmas = torch.linspace(-2, 2, 9).reshape(3, 3), flow_sigmas(20, 3.0)
    sampled, trace = fastflow(field, x, sigmas, NoSkips())
    assert torch.equal(sampled, euler(field, x, sigmas))
    assert (trace.evaluated, trace.nfe, trace.skipped) == (list(range(20)), 20, 0)


def test_euler_by_hand():
    sampled = euler(lambda x, sigma: sigma * torch.ones(2), torch.zeros(2), TINY)
    assert sampled.tolist() == [-(0.25 + 0.1875 + 0.125 + 0.03125 + 0.015625)] * 2


def test_a_velocity_linear_in_sigma_is_predicted_exactly():
    velocity = Recorded(lambda x, sigma: 3 * sigma - 1 + torch.zeros_like(x))
    sigmas = flow_sigmas(30, 5.0)
    sampled, trace = fastflow(velocity, torch.zeros(4), sigmas, policy := Script({1: 6, 8: 4, 13: 2, 16: 6}))
    assert trace.evaluated == [0, 1, 8, 13, 16, *range(23, 30)]
    assert velocity.sigmas == [sigmas[k] for k in trace.evaluated]
    torch.testing.assert_close(sampled, euler(velocity.field, torch.zeros(4), sigmas))
    assert max(error for *_, error in policy.told) < 1e-11


def test_a_prediction_by_hand():
    """v = sigma²: 1 and 0.5625 at the first two sigmas, so the line predicts 0.125 at 0.5 and −0.3125 at 0.25."""
    sampled, trace = fastflow(
        lambda x, sigma: sigma**2 + torch.zeros_like(x), torch.zeros(3), TINY, policy := Script({1: 1})
    )
    assert trace.evaluated == [0, 1, 3, 4]
    assert trace.skips == [(1, 1), (3, 0)]
    steps = [-0.25 * 1, -0.25 * 0.5625, -0.25 * 0.125, -0.125 * 0.0625, -0.125 * 0.015625]
    assert sampled.tolist() == [sum(steps)] * 3
    line_from_1_to_3 = 0.0625 + (0.125 - 0.25) / (0.25 - 0.75) * (0.0625 - 0.5625)
    assert policy.told == [(1, 1, (-0.3125 - 0.0625) ** 2), (3, 0, (line_from_1_to_3 - 0.015625) ** 2)]
    assert trace.errors == policy.told


def test_the_policy_is_asked_from_the_second_evaluation_on_and_never_to_skip_the_last_step():
    _, trace = fastflow(lambda x, sigma: -x, torch.ones(2), flow_sigmas(8, 3.0), policy := Script({}))
    assert policy.asked == [(1, 5), (2, 4), (3, 3), (4, 2), (5, 1), (6, 0)]
    assert [step for step, *_ in policy.told] == [1, 2, 3, 4, 5, 6]
    assert trace.evaluated[-1] == 7
    assert policy.finished == 1


def test_after_a_restart_two_evaluations_come_before_the_next_skip():
    sigmas = flow_sigmas(14, 3.0)

    def two_networks(x, sigma):
        return (sigma if sigma > sigmas[6] else 100 + sigma) + torch.zeros_like(x)

    _, trace = fastflow(two_networks, torch.zeros(2), sigmas, policy := Script({1: 3, 7: 4}), restarts={6})
    assert trace.evaluated == [0, 1, 5, 6, 7, 12, 13]
    assert policy.asked == [(1, 3), (7, 5), (12, 0)]
    assert max(error for *_, error in policy.told) < 1e-6  # never one network's prediction for the other's velocity


@given(step=st.integers(0, 60), steps=st.integers(1, 60), restart=st.integers(0, 60))
def test_the_longest_skip_is_ended_by_an_evaluation_of_the_same_network(step, steps, restart):
    longest = longest_skip(step, steps, {restart})
    ends_at = step + longest + 1
    same_network_until = restart - 1 if step < restart < steps else steps - 1
    assert ends_at == same_network_until


def test_the_state_is_float32_whatever_the_network():
    def field(x, sigma):
        return (sigma + torch.zeros_like(x)).to(torch.bfloat16)

    noise = torch.zeros(2, dtype=torch.bfloat16)
    assert euler(field, noise, TINY).dtype == torch.float32
    assert fastflow(field, noise, TINY, Script({1: 1}))[0].dtype == torch.float32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 1, 3, 5, 9])
def test_a_velocity_that_is_not_finite_ends_the_run(bad, at):
    sigmas = flow_sigmas(10, 3.0)

    def field(x, sigma):
        return torch.where(sigma == sigmas[at], bad, 1.0) + torch.zeros(3)

    with pytest.raises(InvalidOutput, match="not finite"):
        fastflow(field, torch.zeros(3), sigmas, policy := Script({}))
    assert policy.finished == 0
    with pytest.raises(InvalidOutput, match="not finite"):
        euler(field, torch.zeros(3), sigmas)


def test_also_one_that_no_prediction_is_compared_with():
    sigmas = flow_sigmas(10, 3.0)

    def field(x, sigma):
        return torch.where(sigma == sigmas[9], torch.nan, 1.0) + torch.zeros(3)

    with pytest.raises(InvalidOutput, match="sample is not finite"):
        fastflow(field, torch.zeros(3), sigmas, policy := Script({}), restarts={9})
    assert policy.finished == 0


@pytest.mark.parametrize("loop", [euler, lambda *of: fastflow(*of, NoSkips())])
def test_an_unsound_grid_is_refused_before_the_network_runs(loop):
    velocity = Recorded(lambda x, sigma: x)
    with pytest.raises(InvalidInput):
        loop(velocity, torch.zeros(2), torch.tensor([1.0, 0.5, 0.0]))
    assert velocity.sigmas == []
