"""The gate on a bare transformer."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from small_wan import SHAPE, count_calls, small_transformer

from fastflow_ray.errors import AccelerationUnavailable
from fastflow_ray.models.gate import Gate

INPUTS = {
    "hidden_states": torch.ones(SHAPE),
    "timestep": torch.tensor([500.0]),
    "encoder_hidden_states": torch.ones(1, 4, 64),
}


class Switch:
    """Says whether the present step is skipped."""

    on = False

    def __call__(self) -> bool:
        return self.on


@pytest.fixture
def transformer():
    return small_transformer(3)


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def gate(transformer, switch):
    gate = Gate(transformer, switch)
    gate.install()
    yield gate
    gate.remove()


@torch.no_grad()
def ask(transformer, branch: str, **more):
    with transformer.cache_context(branch):
        return transformer(**(INPUTS | more))


@pytest.mark.parametrize("return_dict", [True, False])
def test_a_skipped_step_answers_in_kind_and_runs_nothing(transformer, gate, switch, return_dict):
    calls = count_calls(transformer)
    answered = ask(transformer, "cond", return_dict=return_dict)
    switch.on = True
    blank = ask(transformer, "cond", return_dict=return_dict)
    assert type(blank) is type(answered)
    assert (blank[0].shape, blank[0].dtype, blank[0].device) == (
        answered[0].shape,
        answered[0].dtype,
        answered[0].device,
    )
    assert not blank[0].any(), "zeros, which no guidance turns into what is not a number"
    assert gate.nfe == len(calls) == 1


def test_it_keeps_no_output(transformer, gate, switch):
    kept = weakref.ref(ask(transformer, "cond")[0])
    gc.collect()
    assert kept() is None
    switch.on = True
    ask(transformer, "cond")[0].add_(1)  # what it answers is the caller's own
    assert not ask(transformer, "cond")[0].any()


def test_a_branch_never_seen_is_evaluated_even_on_a_skipped_step(transformer, gate, switch):
    ask(transformer, "cond")
    switch.on = True
    ask(transformer, "uncond")
    assert gate.nfe == 2


def test_a_new_trajectory_knows_nothing_of_the_last(transformer, gate, switch):
    ask(transformer, "cond")
    gate.begin()
    switch.on = True
    ask(transformer, "cond")
    assert gate.nfe == 1


def test_diffusers_own_reset_lets_go_of_the_outputs(transformer, gate, switch):
    ask(transformer, "cond")
    transformer._reset_stateful_cache()
    switch.on = True
    ask(transformer, "cond")
    assert gate.nfe == 2


def test_a_call_outside_of_cache_context_is_refused(transformer, gate):
    with pytest.raises(AccelerationUnavailable, match="outside of cache_context"):
        transformer(**INPUTS)


def test_a_removed_gate_leaves_the_module_as_it_was(transformer, switch):
    before = ask(transformer, "cond", return_dict=False)[0]
    gate = Gate(transformer, switch)
    gate.install()
    gate.remove()
    switch.on = True
    assert torch.equal(ask(transformer, "cond", return_dict=False)[0], before)
    assert gate.nfe == 0
