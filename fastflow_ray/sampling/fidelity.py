"""How close a sample is to a reference where there is no decoder to ask."""

from __future__ import annotations

import math

from torch import Tensor


def sample_psnr_db(x: Tensor, reference: Tensor) -> float:
    """10·log10(range² / MSE) in dB, the range being that of the reference's values; infinite if they are equal.

    A reference whose values are all the same, as of one number alone, has their magnitude for a range; of zeros, 1.
    """
    reference = reference.double()
    mse = float((x.double() - reference).square().mean())
    value_range = float(reference.max() - reference.min()) or float(reference.abs().max()) or 1.0
    return math.inf if mse == 0 else 20 * math.log10(value_range) - 10 * math.log10(mse)
