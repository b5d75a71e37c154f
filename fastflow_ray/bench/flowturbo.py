"""FlowTurbo's blocks that need no training, as a diffusers scheduler: one of Heun, then pseudo correctors.

Heun takes the mean of the slopes at both ends of a step, two evaluations. A pseudo corrector takes for the first of
them what the block before found at its end, where x had only been predicted, and so costs one. The third block, a small
network that refines velocities and has to be trained for every model, is not here.

Source: FlowTurbo, arXiv 2409.18128.
"""

from __future__ import annotations

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor


class PseudoCorrectorScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]  # diffusers has no types
    """Asked for n timesteps it takes n − 1 steps, on flow-Euler's grid; the last evaluation is at sigma = 0."""

    timesteps: Tensor
    _start: Tensor | None = None  # x where the block under way began; None before the first
    _slope: Tensor | None = None  # the velocity found there

    def set_timesteps(self, num_inference_steps: int, device: str | torch.device | None = None) -> None:
        """A trajectory of so many evaluations begins; two at least."""
        super().set_timesteps(num_inference_steps - 1, device)
        self.timesteps = torch.cat([self.timesteps, self.timesteps.new_zeros(1)])
        self.num_inference_steps = num_inference_steps
        self._start = self._slope = None

    def step(self, model_output: Tensor, timestep: Tensor, sample: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        """End the block under way with the velocity at the x predicted for its end, and predict the next one's.

        Returns that prediction; at the end the corrected x.
        """
        if self.step_index is None:
            self._init_step_index(timestep)
        slope, step = model_output.to(torch.float32), self.step_index
        if self._start is None or self._slope is None:
            self._start = sample.to(torch.float32)
        else:
            self._start = self._start + (self.sigmas[step] - self.sigmas[step - 1]) * (self._slope + slope) / 2
        self._slope, self._step_index = slope, step + 1
        last = step + 1 == len(self.sigmas)
        x = self._start if last else self._start + (self.sigmas[step + 1] - self.sigmas[step]) * slope
        return (x.to(model_output.dtype),)
