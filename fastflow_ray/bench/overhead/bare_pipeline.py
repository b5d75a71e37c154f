"""A guided diffusers pipeline reduced to its loop, with a network that costs next to nothing.

What `FastFlow.attach` puts on it, gates, scheduler and machine, is what it puts on any other; only the network, the
text encoder and the decoder are missing. The clock is stopped while the network runs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.models.cache_utils import CacheMixin
from torch import Tensor

from fastflow_ray.bench.overhead.clock import clock_of

SPREAD = 0.3  # of the data around −1 and 1


class BareNetwork(torch.nn.Module, CacheMixin):  # type: ignore[misc]  # diffusers has no types
    """The exact flow from noise to two blobs, each coordinate for itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.seconds = 0.0  # spent in here
        self._clock = clock

    def forward(self, x: Tensor, timestep: Tensor, centre: float) -> Tensor:
        """v = E[noise − data | x], with data around ±`centre`, in the dtype of x."""
        began = self._clock()
        sigma = timestep / 1000
        a = 1 - sigma
        variance = (SPREAD * a) ** 2 + sigma**2
        data = torch.tanh(x * (a * centre / variance)).mul_(centre)
        v = (x - a * data).mul_((sigma - SPREAD**2 * a) / variance).sub_(data)
        self.seconds += self._clock() - began
        return v


class BarePipeline:
    """Called with noise on its device, it answers with latents, as a pipeline does with `output_type="latent"`."""

    guidance_scale = 3.0

    def __init__(self, steps: int, shift: float, device: torch.device) -> None:
        self.scheduler: Any = FlowMatchEulerDiscreteScheduler(shift=shift)
        self.transformer = BareNetwork(clock_of(device))
        self.config: dict[str, Any] = {}
        self.step_seconds: list[float] = []  # of the latest call, by step, the network's own left out
        self.on_step: Callable[[], None] = lambda: None  # called after each
        self._steps = steps
        self._device = device

    def guided(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The same network as a velocity, for sampling without a pipeline."""
        network: Any = self.transformer
        own, general = network(x, 1000 * sigma, 1.0), network(x, 1000 * sigma, 0.8)
        velocity: Tensor = general + self.guidance_scale * (own - general)
        return velocity

    @torch.no_grad()
    def __call__(self, latents: Tensor) -> SimpleNamespace:
        """As diffusers' Wan pipeline walks its steps."""
        network: Any = self.transformer
        clock = clock_of(self._device)
        self.step_seconds = []
        self.scheduler.set_timesteps(self._steps, device=self._device)
        for timestep in self.scheduler.timesteps:
            began, inside = clock(), network.seconds
            with network.cache_context("cond"):
                velocity = network(latents, timestep, 1.0)
            with network.cache_context("uncond"):
                general = network(latents, timestep, 0.8)
            velocity = general + self.guidance_scale * (velocity - general)
            latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            self.step_seconds.append(clock() - began - (network.seconds - inside))
            self.on_step()
        return SimpleNamespace(frames=latents)
