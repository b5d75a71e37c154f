"""How close a sample is to a reference where there is no decoder to ask."""

from __future__ import annotations

import math

from torch import Tensor


def sample_psnr_db(x: Tensor, reference: Tensor) -> float:
    """10·log10(range² / MSE) in dB, the range being that of the reference's values; infinite if they are equal."""
    mse = float((x.double() - reference.double()).square().mean())
    value_range = float(reference.max() - reference.min())
    return math.inf if mse == 0 else 10 * math.log10(max(value_range**2, 1e-30) / mse)
