"""The reference: every step evaluated."""

from __future__ import annotations

import torch
from torch import Tensor

from fastflow_ray.sampling.grid import check_grid
from fastflow_ray.sampling.velocity import Velocity, as_noise, evaluated
from fastflow_ray.sampling.velocity_history import check_finite


@torch.no_grad()
def euler(velocity: Velocity, x: Tensor, sigmas: Tensor) -> Tensor:
    """Integrate dx/dsigma = velocity(x, sigma) by x_{k+1} = x_k + (sigma_{k+1} − sigma_k)·v_k.

    Args:
        velocity: the network, guidance included.
        x: noise at sigma = 1, any shape.
        sigmas: (steps + 1,) float32, falling from 1 to 0.

    Returns x at sigma = 0, float32. Raises InvalidInput for an unsound grid, InvalidOutput for NaN or infinity.
    """
    check_grid(sigmas)
    x = as_noise(x)
    for k in range(len(sigmas) - 1):
        v = evaluated(velocity, x, sigmas[k])
        x = x + (sigmas[k + 1] - sigmas[k]) * v
    check_finite(x)
    return x
