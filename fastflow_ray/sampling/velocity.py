"""What a sampler is given: the noise it begins from, and a network, whatever it does to buffers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput

Velocity = Callable[[Tensor, Tensor], Tensor]  # (x, sigma as 0-dim float32) → dx/dsigma, of the shape of x


def as_noise(x: Tensor) -> Tensor:
    """The noise x as a trajectory begins from it, float32; raises InvalidInput unless it is a batch of real numbers,
    finite in float32."""
    if not _is_real(x) or x.ndim == 0 or x.numel() == 0:
        raise InvalidInput(f"x has to be noise, a tensor of real numbers of shape (batch, …); it is {_described(x)}")
    noise = x.to(torch.float32)
    if not bool(torch.isfinite(noise).all()):
        raise InvalidInput("x has to be noise, and has NaN, or numbers beyond float32; draw it with `torch.randn`")
    return noise


def evaluated(velocity: Velocity, x: Tensor, sigma: Tensor) -> Tensor:
    """velocity(x, sigma), float32, as a tensor of its own.

    The network is given copies, for it may change what it is given in place; and what it answers is copied, for it may
    answer in the same buffer every time, as CUDA graphs do, while velocities are remembered from step to step. Raises
    InvalidInput unless it answers with real numbers of the shape of x: others would be stretched to it, or end the run
    much later.
    """
    if not callable(velocity):
        raise InvalidInput(f"velocity has to be a function of x and sigma; it is {_described(velocity)}")
    v = velocity(x.clone(), sigma.clone())
    if not _is_real(v) or v.shape != x.shape:
        raise InvalidInput(
            f"velocity(x, sigma) has to be a tensor of real numbers of the shape of x, {tuple(x.shape)};"
            f" it is {_described(v)}"
        )
    return v.to(torch.float32, copy=True)


def _is_real(what: object) -> bool:
    return isinstance(what, Tensor) and not what.is_complex() and what.layout is torch.strided


def _described(what: object) -> str:
    if not isinstance(what, Tensor):
        return f"of type {type(what).__name__}"
    layout = "" if what.layout is torch.strided else f"{what.layout}, "
    return f"of {layout}{what.dtype} and shape {tuple(what.shape)}"
