"""The grid of sigmas a trajectory walks: how it is made, what makes it sound, how it is recognised."""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput

FEWEST_STEPS = 4  # two evaluations to extrapolate from, one skip, one evaluation to end it


def flow_sigmas(steps: int, shift: float, train_timesteps: int = 1000) -> torch.Tensor:
    """The shifted grid sigma = s·u / (1 + (s − 1)·u), float32 of shape (steps + 1,), from 1 to 0.

    The very numbers of diffusers' flow-Euler scheduler: u runs evenly from 1 to the *shifted* 1/`train_timesteps`,
    and a last 0 is appended.
    """
    ends = np.array([train_timesteps, 1], dtype=np.float32) / np.float32(train_timesteps)
    first, last = _shifted(ends, shift).tolist()
    u = np.linspace(first * train_timesteps, last * train_timesteps, steps) / train_timesteps
    return torch.cat([torch.from_numpy(_shifted(u, shift)).to(torch.float32), torch.zeros(1)])


def as_grid(sigmas: torch.Tensor | ArrayLike) -> torch.Tensor:
    """`sigmas` as a float32 tensor, on the device of one; raises InvalidInput as `check_grid` does."""
    given = sigmas.detach() if isinstance(sigmas, torch.Tensor) else _row(sigmas)
    if given.is_complex():
        raise InvalidInput("the grid has sigmas that are not real; use `flow_sigmas(steps, shift)`")
    grid = given.to(torch.float32)
    check_grid(grid)
    return grid


def check_grid(sigmas: torch.Tensor) -> None:
    """Raise InvalidInput unless `sigmas`, shape (steps + 1,), falls strictly from about 1 to 0 in at least 4 steps."""
    if sigmas.ndim != 1:
        shape = tuple(sigmas.shape)
        raise InvalidInput(f"a grid of shape {shape} is no row of sigmas; use at least {FEWEST_STEPS} steps in a row")
    values = sigmas.tolist()
    if len(values) - 1 < FEWEST_STEPS:
        steps = counted(max(len(values) - 1, 0), "step")
        raise InvalidInput(f"a grid of {steps} leaves nothing to skip; use at least {FEWEST_STEPS}")
    if not all(math.isfinite(sigma) for sigma in values):
        raise InvalidInput("the grid has sigmas that are not finite; use `flow_sigmas(steps, shift)`")
    if any(after >= before for before, after in pairwise(values)):
        raise InvalidInput("the sigmas of the grid have to fall strictly; sort them from 1 to 0 and drop repeated ones")
    if abs(values[0] - 1) > 0.05 or abs(values[-1]) > 1e-6:
        raise InvalidInput(
            f"the grid runs from {values[0]:g} to {values[-1]:g}; it has to start near 1 (noise) and end at 0 (data)"
        )


def fingerprint(sigmas: torch.Tensor | NDArray[np.float64]) -> str:
    """A short name for a grid, the same on every machine: sigmas to six decimals, hashed."""
    text = " ".join(f"{sigma:.6f}" for sigma in sigmas.tolist())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _row(sigmas: ArrayLike) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(sigmas, np.float32))
    except (TypeError, ValueError) as fault:
        raise InvalidInput("the grid is no row of numbers; use `flow_sigmas(steps, shift)`") from fault


def _shifted(u: NDArray[Any], shift: float) -> NDArray[Any]:
    return shift * u / (1 + (shift - 1) * u)
