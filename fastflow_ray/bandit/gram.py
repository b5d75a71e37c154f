"""Inner products of the velocities of one generation: what they have to be, and what those not seen are likely to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.kriging import kriging_weights
from fastflow_ray.errors import InvalidInput

Floats = NDArray[np.float64]


def completed(steps: Sequence[int], gram: Floats, known: Floats) -> Floats:
    """All inner products of a generation, (N, N), in expectation, given those of the evaluated `steps`.

    With S the evaluated steps, o the others and W = C_oS·C_SS⁻¹, the blocks are gram, W·gram and W·gram·Wᵀ + R, where
    R is the covariance of what W does not explain: the E step of expectation maximisation for a Gaussian with missing
    data (Dempster, Laird and Rubin 1977), and positive semidefinite as `gram` and `known` are.
    """
    seen, others = np.asarray(steps), np.delete(np.arange(len(known)), steps)
    weights = kriging_weights(known, steps, others.tolist()).T  # (others, S)
    unexplained = np.zeros((len(others), len(known)))  # rows: coefficients of v_o − W·v_S
    unexplained[:, others], unexplained[:, seen] = np.eye(len(others)), -weights
    whole = np.empty(known.shape)
    whole[np.ix_(seen, seen)] = gram
    whole[np.ix_(others, seen)] = weights @ gram
    whole[np.ix_(seen, others)] = (weights @ gram).T
    whole[np.ix_(others, others)] = weights @ gram @ weights.T + unexplained @ known @ unexplained.T
    return (whole + whole.T) / 2


def checked(gram: Floats, steps: int) -> Floats:
    """`gram`, symmetric to the last bit; raises InvalidInput unless it can be inner products of `steps` velocities."""
    if gram.shape != (steps, steps):
        raise InvalidInput(f"inner products of {steps} velocities have shape {(steps, steps)}, not {gram.shape}")
    if not np.isfinite(gram).all() or (gram.diagonal() < 0).any():
        raise InvalidInput("the inner products are not those of finite velocities; do not learn from a failed run")
    if not np.allclose(gram, gram.T, rtol=1e-4, atol=1e-6 * float(gram.diagonal().mean())):
        raise InvalidInput("the inner products are not symmetric; give <v_i, v_j> for every pair of evaluated steps")
    return np.asarray((gram + gram.T) / 2, dtype=np.float64)
