"""How velocities go together before any is seen: as those of a flow whose data are Gaussian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEVIATIONS = np.geomspace(0.03, 3.0, 25)  # of data, direction by direction, around those of latents, which are about 1

Floats = NDArray[np.float64]


def velocity_prior(sigmas: Floats) -> Floats:
    """Inner products of the velocities v_0 … v_{N−1} over the grid `sigmas`, (N + 1,), which falls from 1 to 0; shape
    (N, N), 1 on average on the diagonal.

    In a direction in which data deviate by s, x goes from 1 along sqrt(sigma² + (1 − sigma)²·s²), the deviation of
    what lies between noise and data, and v is its derivative: (sigma − (1 − sigma)·s²) / x. As pictures do, data
    deviate by all orders of magnitude: every one of `DEVIATIONS` counts the same.
    """
    sigma, variance = sigmas[:-1, None], DEVIATIONS**2
    data = 1 - sigma
    velocities = (sigma - data * variance) / np.sqrt(sigma**2 + data**2 * variance)  # (N, deviations)
    products = velocities @ velocities.T
    prior: Floats = products / products.diagonal().mean()
    return prior
