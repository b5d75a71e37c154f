"""Linear prediction of velocities from others, by their inner products alone: kriging, as geostatistics calls it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RIDGE = 1e-7  # of the mean diagonal over the history

Floats = NDArray[np.float64]


def kriging_weights(mean: Floats, history: Sequence[int], step: int | Sequence[int]) -> Floats:
    """The best linear weights w = C_HH⁻¹·C_Hk for predicting v_k from the velocities of `history`.

    Args:
        mean: C, inner products of velocities per coordinate, shape (N, N).
        history: H, the evaluated steps to predict from.
        step: k; or several steps at once.

    Returns:
        Shape (len(history),); for several steps (len(history), steps).
    """
    known = np.asarray(history)
    return np.linalg.solve(ridged(mean[np.ix_(known, known)]), mean[known][:, step])


def ridged(products: Floats) -> Floats:
    """Inner products with the ridge on their diagonal, shape (..., H, H), so that they can be solved for."""
    size = products.shape[-1]
    ridge = RIDGE * np.trace(products, axis1=-2, axis2=-1) / size
    sound: Floats = products + np.maximum(ridge, np.finfo(float).tiny)[..., None, None] * np.eye(size)
    return sound
