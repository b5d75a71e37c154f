"""The exact flow from noise to a mixture of Gaussians: a network in closed form, cheap enough for thousands of videos.

Like pictures, the data has most of its power in a few coordinates, so that the coarse is settled early in a trajectory
and the fine late; and it comes in classes, between which guidance chooses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastflow_ray.sampling.velocity import Velocity

WITHIN = 0.3  # of the data's variance: within a blob; the rest is between blobs


class GuidedMixture:
    """Blobs around random centres, the same number in each class, with classifier-free guidance to a class."""

    def __init__(self, classes: int, blobs: int, dim: int, guidance: float, seed: int) -> None:
        """`blobs` per class in `dim` coordinates, whose power falls as 1 over their number."""
        power = 1 / torch.arange(1, dim + 1)
        power = power / power.mean()
        generator = torch.Generator().manual_seed(seed)
        self._centres = torch.randn(classes * blobs, dim, generator=generator) * (power * (1 - WITHIN)).sqrt()
        self._variance = WITHIN * power
        self._guidance = guidance
        self._class_of = torch.arange(classes).repeat_interleave(blobs)

    def flow(self, wanted: Tensor) -> Velocity:
        """Guided dx/dsigma of a batch whose rows are to be of the classes `wanted`, shape (batch,)."""
        others = self._class_of != wanted[:, None]  # (batch, all blobs)

        def velocity(x: Tensor, sigma: Tensor) -> Tensor:
            likelihood = self._log_likelihood(x, sigma)
            general = self._velocity(x, sigma, likelihood)
            own = self._velocity(x, sigma, likelihood.masked_fill(others, -torch.inf))
            return general + self._guidance * (own - general)

        return velocity

    def _log_likelihood(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Of every blob, up to a constant, (batch, blobs): x has the variance a²·variance + sigma² around a·centre,
        a = 1 − sigma."""
        scale = ((1 - sigma) ** 2 * self._variance + sigma**2).rsqrt()
        distance = torch.cdist(x * scale, (1 - sigma) * self._centres * scale)
        return -(distance**2) / 2

    def _velocity(self, x: Tensor, sigma: Tensor, log_likelihood: Tensor) -> Tensor:
        """E[noise − data | x], by Bayes' rule."""
        a = 1 - sigma
        centre = torch.softmax(log_likelihood, dim=1) @ self._centres
        gain = (sigma - a * self._variance) / (a**2 * self._variance + sigma**2)
        return gain * (x - a * centre) - centre
