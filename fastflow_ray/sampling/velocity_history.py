"""The last two real evaluations, and the straight line through them."""

from __future__ import annotations

import torch
from torch import Tensor

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidOutput


class VelocityHistory:
    """Remembers (sigma_p, v_p) and (sigma_k, v_k), p < k, in float32 whatever the model's dtype."""

    def __init__(self) -> None:
        self._evaluations: list[tuple[Tensor, Tensor]] = []

    @property
    def ready(self) -> bool:
        """Whether there are two evaluations to predict from."""
        return len(self._evaluations) == 2

    def clear(self) -> None:
        """Forget: what comes is another network."""
        self._evaluations.clear()

    @property
    def evaluations(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """(sigma, velocity) as remembered, the older first."""
        return tuple(self._evaluations)

    def append(self, sigma: Tensor, velocity: Tensor) -> None:
        """Remember the evaluation at `sigma`, forgetting the one before the last."""
        self._evaluations = [*self._evaluations[-1:], (sigma, velocity.to(torch.float32))]

    def predict(self, sigma: Tensor) -> Tensor:
        """v̂(sigma) = v_k + (sigma − sigma_k)·(v_k − v_p)/(sigma_k − sigma_p), float32; needs `ready`.

        Source: FastFlow, arXiv 2602.11105.
        """
        (sigma_p, v_p), (sigma_k, v_k) = self._evaluations
        return v_k + (sigma - sigma_k) / (sigma_k - sigma_p) * (v_k - v_p)

    def error(self, sigma: Tensor, velocity: Tensor) -> float:
        """MSE of the prediction at `sigma` against the real velocity there; raises InvalidOutput if not finite.

        Waits for the device: the one synchronisation of a step. As predictions carry everything evaluated before,
        a single NaN of the network shows here at the next evaluation.
        """
        mse = float(torch.mean((self.predict(sigma) - velocity.to(torch.float32)) ** 2))
        if not mse < float("inf"):
            raise InvalidOutput(
                f"the model's velocity near sigma = {float(sigma):.4f} is not finite;"
                " check its weights, or run it in bfloat16 or float32"
            )
        return mse


def check_finite(x: Tensor, skipped: int = 0) -> None:
    """Raise InvalidOutput unless every number of the finished sample is finite, on the way to which so many steps were
    `skipped`: that, too, may have led the network astray."""
    if not bool(torch.isfinite(x).all()):
        fewer = f"skip fewer than {counted(skipped, 'step')}, " if skipped else ""
        raise InvalidOutput(
            f"the sample is not finite; {fewer}check the model's weights, or run it in bfloat16 or float32"
        )
