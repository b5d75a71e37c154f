"""Fields of a JSON document as arrays of numbers, checked: a table that came from elsewhere may be damaged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def floats(fields: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Field `name` as an array of that shape, its numbers finite; raises ValueError, as all here do."""
    array = numbers(fields, name, "if", shape)
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` has to be finite")
    return array.astype(np.float64)


def counts(fields: dict[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Field `name` as an array of that shape, its numbers whole and not negative."""
    array = numbers(fields, name, "i", shape)
    if (array < 0).any():
        raise ValueError(f"`{name}` has to count from 0")
    return array.astype(np.int64)


def upper_triangle(matrix: NDArray[np.float64]) -> list[float]:
    """A symmetric matrix as `symmetric` reads it: its upper triangle, row by row."""
    triangle: list[float] = matrix[np.triu_indices(len(matrix))].tolist()
    return triangle


def symmetric(fields: dict[str, Any], name: str) -> NDArray[np.float64]:
    """The symmetric matrix of which field `name` holds the upper triangle, row by row; of any size, 1 at least."""
    values = fields[name]
    size = len(values) if isinstance(values, list) else 0
    rows = (math.isqrt(8 * size + 1) - 1) // 2
    if not rows or rows * (rows + 1) // 2 != size:
        raise ValueError(f"`{name}` has to hold an upper triangle")
    matrix = np.zeros((rows, rows))
    matrix[np.triu_indices(rows)] = floats(fields, name, (size,))
    return np.triu(matrix, 1).T + matrix


def numbers(fields: dict[str, Any], name: str, kinds: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Field `name` as an array of that shape, of one of NumPy's `kinds`, such as "if"."""
    try:
        array = np.array(fields[name])
    except (ValueError, OverflowError) as ragged:
        raise ValueError(f"`{name}` is not an array of numbers") from ragged
    if array.dtype.kind not in kinds:
        raise ValueError(f"`{name}` holds values of the wrong kind")
    if array.shape != shape:
        raise ValueError(f"`{name}` has shape {array.shape} instead of {shape}")
    return array
