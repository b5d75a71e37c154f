"""A machine made again from the state of another, at any step, and what is refused instead of trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_plan_machine import PLAN, SIGMAS, learn_nothing, network, noise, plans
from test_step_machine import Wishes, runs

from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.machine import Machine
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.state import State
from fastflow_ray.sampling.step_machine import StepMachine

DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


def walk(machine: Machine, x, sigmas, steps, dtype):
    """Over some of the steps, as a pipeline of that dtype drives it."""
    for k in steps:
        answer = network(machine, x, sigmas[k]).to(dtype)
        x = machine.advance(answer, x, lambda v, x, k=k: x + (sigmas[k + 1] - sigmas[k]) * v).to(dtype)
    return x


def told_as_json(state: State) -> State:
    """By way of a file."""
    return State({name: tensor.clone() for name, tensor in state.tensors.items()}, json.loads(json.dumps(state.facts)))


def walk_interrupted(make, x, sigmas, stops, dtype):
    """From machine to machine, a new one at each of `stops`."""
    machine = make()
    for start, end in pairwise([0, *sorted(stops), len(sigmas) - 1]):
        if start:
            state, machine = told_as_json(machine.state()), make()
            machine.restore(state, x)
        x = walk(machine, x, sigmas, range(start, end), dtype)
    machine.finish()
    return x, machine


@given(plan=plans(), dtype=DTYPES, data=st.data())
def test_a_plan_is_walked_to_the_same_bits_however_often_it_is_interrupted(plan, dtype, data):
    sigmas, stops = flow_sigmas(plan.steps, 3.0), data.draw(st.sets(st.integers(1, plan.steps - 1)))
    whole, interrupted = [], []
    expected, spec = walk_interrupted(
        lambda: PlanMachine(plan, lambda *t: whole.append(t)), noise(2, 5), sigmas, (), dtype
    )
    x, machine = walk_interrupted(
        lambda: PlanMachine(plan, lambda *t: interrupted.append(t)), noise(2, 5), sigmas, stops, dtype
    )
    assert torch.equal(x, expected)
    assert x.dtype is expected.dtype
    assert machine.trace == spec.trace
    ((seen, walked),), ((seen_whole, walked_whole),) = interrupted, whole
    assert walked == walked_whole
    assert seen.steps == seen_whole.steps
    assert (seen.x == seen_whole.x).all()
    assert (seen.v == seen_whole.v).all()


@given(run=runs(), dtype=DTYPES, data=st.data())
def test_a_policys_way_is_gone_to_the_same_bits_however_often_it_is_interrupted(run, dtype, data):
    steps, wishes, restarts = run
    sigmas, stops = flow_sigmas(steps, 3.0), data.draw(st.sets(st.integers(1, steps - 1)))
    expected, spec = walk_interrupted(
        lambda: StepMachine(sigmas, Wishes(wishes), restarts), noise(5), sigmas, (), dtype
    )
    policies = []

    def make():
        policies.append(Wishes(wishes))
        return StepMachine(sigmas, policies[-1], restarts)

    x, machine = walk_interrupted(make, noise(5), sigmas, stops, dtype)
    assert torch.equal(x, expected)
    assert machine.trace == spec.trace
    told, asked = ([[e for e in p.log if (e[0] == "choose") == chosen] for p in policies] for chosen in (False, True))
    assert told[-1] == [entry for entry in spec._policy.log if entry[0] != "choose"], "the last one is told all"
    assert [e for log in asked for e in log] == [e for e in spec._policy.log if e[0] == "choose"], "asked once"


def plan_state(dtype=torch.float32):
    machine = PlanMachine(PLAN, learn_nothing)
    x = walk(machine, noise(2, 5), SIGMAS, range(4), dtype)
    return told_as_json(machine.state()), x


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_x_is_stored_only_where_it_was_rounded(dtype):
    state, _ = plan_state(dtype)
    assert ("x" in state.tensors) == (dtype is torch.bfloat16)
    assert {"start", "velocity_0", "velocity_1"} <= set(state.tensors)


@pytest.mark.parametrize(
    "damage",
    [
        {"step": 0}, {"step": 8}, {"remembered": 3}, {"remembered": 0}, {"trace": {}}, {"seen": {"steps": [0]}},
        {"seen": {"steps": ["x"]}}, {"step": None},
    ],
)  # fmt: skip
def test_a_plans_state_that_contradicts_itself_is_refused(damage):
    state, x = plan_state()
    with pytest.raises((InvalidInput, KeyError, TypeError, ValueError)):
        PlanMachine(PLAN, learn_nothing).restore(replace(state, facts={**state.facts, **damage}), x)


@pytest.mark.parametrize("name", ["start", "velocity_0", "velocity_1"])
def test_tensors_of_another_sample_are_refused(name):
    state, x = plan_state()
    for tensor in (torch.zeros(3, 5), torch.zeros(2, 5, dtype=torch.float64)):
        with pytest.raises(InvalidInput):
            PlanMachine(PLAN, learn_nothing).restore(replace(state, tensors={**state.tensors, name: tensor}), x)


@pytest.mark.parametrize(
    "damage", [{"step": 0}, {"step": 8}, {"next_evaluation": 1}, {"remembered": 1}, {"skip": [1]}, {"skip": "ab"}]
)
def test_a_policys_state_that_contradicts_itself_is_refused(damage):
    def make():
        return StepMachine(SIGMAS, Wishes([2] * 8))

    machine = make()
    x = walk(machine, noise(2, 5), SIGMAS, range(3), torch.float32)
    state = told_as_json(machine.state())
    make().restore(state, x)
    with pytest.raises((InvalidInput, KeyError, TypeError, ValueError)):
        make().restore(replace(state, facts={**state.facts, **damage}), x)
