"""Sums and counts of what was seen, one of each per step of a grid: they add up over the tables of a fleet."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.fields import counts, floats

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

NEARBY = 0.5  # what is seen one step away tells of a step; two steps away its square
COUNT = "count"  # the field of this name counts; the others sum


@dataclass(eq=False)
class PerStep:
    """Arrays of shape (N,), for N steps. Subclasses name them, and say what they mean."""

    @classmethod
    def empty(cls, steps: int) -> Self:
        """Of N steps of which nothing was seen."""
        return cls(**{name: np.zeros(steps, np.int64 if name == COUNT else float) for name in cls.names()})

    @classmethod
    def names(cls) -> list[str]:
        """Of the arrays."""
        return [field.name for field in fields(cls)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name."""
        return {name: getattr(self, name) for name in self.names()}

    def merge(self, other: Self) -> Self:
        """The sums of both, as new ones."""
        theirs = other.arrays()
        return type(self)(**{name: array + theirs[name] for name, array in self.arrays().items()})

    def to_dict(self) -> dict[str, list[Any]]:
        """As JSON values; floats keep every bit."""
        return {name: array.tolist() for name, array in self.arrays().items()}

    @classmethod
    def from_dict(cls, document: Any, steps: int) -> Self:
        """What `to_dict` described; raises ValueError on a missing field, a wrong shape, or sums of nothing."""
        if not isinstance(document, dict) or set(document) != set(cls.names()):
            raise ValueError(f"{cls.__name__.lower()} needs exactly the fields {', '.join(cls.names())}")
        read = {name: counts if name == COUNT else floats for name in cls.names()}
        seen = cls(**{name: reader(document, name, (steps,)) for name, reader in read.items()})
        seen.check()
        return seen

    def check(self) -> None:
        """Raise ValueError if the numbers contradict each other."""


def check_sums(weight: NDArray[Any], *sums: Floats) -> None:
    """Raise ValueError if a sum over nothing is not 0, or a weight negative."""
    if (weight < 0).any():
        raise ValueError("`square`, or a count, is negative")
    if any(array[weight == 0].any() for array in sums):
        raise ValueError("a sum over nothing is not 0")


def nearness(of: int, steps: int) -> Floats:
    """What each of `steps` tells of each of `of` steps, (of, steps): `NEARBY` to the power of their distance."""
    apart = np.abs(np.subtract.outer(np.arange(of), np.arange(steps)))
    near: Floats = NEARBY**apart
    return near
