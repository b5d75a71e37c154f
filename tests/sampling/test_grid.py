"""The grid against diffusers' own, and what makes a grid unsound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.grid import as_grid, check_grid, fingerprint, flow_sigmas


@given(steps=st.integers(4, 200), shift=st.floats(0.1, 30.0))
def test_it_has_the_very_numbers_of_diffusers(steps, shift):
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    sigmas = flow_sigmas(steps, shift)
    assert sigmas.dtype == torch.float32
    assert torch.equal(sigmas, scheduler.sigmas)


def test_the_formula_by_hand():
    sigmas = flow_sigmas(4, 1.0)
    torch.testing.assert_close(sigmas, torch.tensor([1.0, 0.667, 0.334, 0.001, 0.0]))
    assert flow_sigmas(50, 3.0)[0] == 1.0


@given(steps=st.integers(4, 200), shift=st.floats(0.1, 30.0))
def test_every_flow_grid_is_sound(steps, shift):
    check_grid(flow_sigmas(steps, shift))


@pytest.mark.parametrize(
    ("sigmas", "remedy"),
    [
        ([1.0, 0.6, 0.3, 0.0], "use at least 4"),
        ([[1.0, 0.8, 0.6, 0.3, 0.0]], "use at least 4"),
        ([1.0, float("nan"), 0.6, 0.3, 0.0], "flow_sigmas"),
        ([1.0, 0.8, 0.8, 0.3, 0.0], "drop repeated"),
        ([0.0, 0.2, 0.5, 0.8, 1.0], "sort them"),
        ([0.7, 0.6, 0.5, 0.2, 0.0], "start near 1"),
        ([1.0, 0.8, 0.5, 0.3, 0.1], "end at 0"),
        ([14.6, 7.0, 3.0, 0.5, 0.0], "start near 1"),
    ],
)
def test_an_unsound_grid_is_refused_with_a_remedy(sigmas, remedy):
    with pytest.raises(InvalidInput, match=remedy):
        check_grid(torch.tensor(sigmas))


@pytest.mark.parametrize("held", [list, tuple, np.array, torch.tensor, lambda row: np.array(row[::-1])[::-1]])
def test_a_grid_may_be_held_by_whatever_holds_numbers(held):
    row = [1.0, 0.75, 0.5, 0.25, 0.0]
    assert torch.equal(as_grid(held(row)), torch.tensor(row))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_whatever_its_dtype_the_network_is_asked_at_float32(dtype):
    grid = as_grid(torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0], dtype=dtype))
    assert (grid.dtype, grid.tolist()) == (torch.float32, [1.0, 0.75, 0.5, 0.25, 0.0])


def test_a_grid_needs_no_gradient():
    assert not as_grid(flow_sigmas(20, 3.0).requires_grad_()).requires_grad


UNREAL = torch.linspace(1, 0, 5).to(torch.complex64)


@pytest.mark.parametrize("what", [None, "abc", [1.0, "x"], [[1.0], [0.5, 0.2]], {}, 1.0, UNREAL])
def test_what_holds_no_row_of_numbers_is_no_grid(what):
    with pytest.raises(InvalidInput, match=r"flow_sigmas|in a row"):
        as_grid(what)


def test_a_fingerprint_tells_grids_apart_but_not_roundings():
    grid = flow_sigmas(50, 3.0)
    assert fingerprint(grid) == fingerprint(grid.double() + 1e-9)
    assert len({fingerprint(flow_sigmas(n, s)) for n in (49, 50) for s in (3.0, 3.01)}) == 4
