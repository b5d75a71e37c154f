"""A trajectory between two steps, as a value: what its machine has to be told to go on with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput


@dataclass(frozen=True)
class State:
    """Tensors by name, and everything else as JSON values. They are the machine's own: nobody may change them."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def like(self, x: Tensor, *names: str) -> list[Tensor]:
        """The tensors of those names; raises InvalidInput unless they are float32 and of the shape of x."""
        found = [self.tensors[name] for name in names]
        if any(tensor.shape != x.shape or tensor.dtype is not torch.float32 for tensor in found):
            raise InvalidInput(f"the tensors {', '.join(names)} do not belong to a sample of shape {tuple(x.shape)}")
        return found
