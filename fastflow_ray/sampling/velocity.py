"""One evaluation of the network, whatever it does to the buffers it is given and answers in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]  # (x, sigma as 0-dim float32) → dx/dsigma, of the shape of x


def evaluated(velocity: Velocity, x: Tensor, sigma: Tensor) -> Tensor:
    """velocity(x, sigma), float32, as a tensor of its own.

    The network is given copies, for it may change what it is given in place; and what it answers is copied, for it may
    answer in the same buffer every time, as CUDA graphs do, while velocities are remembered from step to step.
    """
    return velocity(x.clone(), sigma.clone()).to(torch.float32, copy=True)
