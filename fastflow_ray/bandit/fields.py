"""Fields of a JSON document as arrays of numbers, checked: a table that came from elsewhere may be damaged."""

from __future__ import annotations

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
