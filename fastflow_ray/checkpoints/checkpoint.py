"""A generation between two steps: the value that an engine gives and takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fastflow_ray.sampling.state import State


@dataclass(frozen=True)
class Checkpoint:
    """What it takes to end a generation with the same bits; the text is encoded again."""

    grid: str  # fingerprint of the sigmas
    latents: Tensor  # as the pipeline carries them, dtype included
    machine: State  # history, decisions and trace
    policy: Mapping[str, Any]  # what decisions are made from, as JSON values
    generator: Tensor | None = None  # state of the random numbers; None: nothing is drawn any more

    @property
    def step(self) -> int:
        """Steps of the grid behind it."""
        return int(self.machine.facts["step"])

    def to(self, device: torch.device | str) -> Checkpoint:
        """The same there; the state of the random numbers stays where it is. From a device, waits for it."""
        tensors = {name: tensor.detach().to(device) for name, tensor in self.machine.tensors.items()}
        machine = State(tensors, self.machine.facts)
        return replace(self, latents=self.latents.detach().to(device), machine=machine)
