"""How the velocities along a trajectory go together: their mean inner products over the generations of one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.fields import floats, symmetric, upper_triangle
from fastflow_ray.bandit.gram import checked, completed
from fastflow_ray.errors import InvalidInput

Floats = NDArray[np.float64]

COMPLETED = 1 / 64  # of a full run: what a skipping run weighs, whose velocities err where predictions led
SUPPOSED = 1 / 32  # of a full run: what a prior weighs


@dataclass(eq=False)
class InnerProducts:
    """<v_i, v_j> / dim of the velocities v_0 … v_{N−1}, weighted and summed, so that two of them merge by addition."""

    sums: Floats  # (N, N); symmetric
    weight: float = 0.0  # of all generations: 1 for each full run, `COMPLETED` for each skipping one

    @classmethod
    def empty(cls, steps: int) -> InnerProducts:
        """Of N steps, over no generation."""
        return cls(np.zeros((steps, steps)))

    @property
    def steps(self) -> int:
        """N, of the grid."""
        return len(self.sums)

    @property
    def mean(self) -> Floats:
        """C, the inner products per generation, (N, N); NaN before any generation."""
        mean: Floats = self.sums / self.weight if self.weight else np.full(self.sums.shape, np.nan)
        return mean

    @property
    def cosine(self) -> Floats:
        """Of the angle between two velocities, (N, N); NaN where nothing is known, or one of them vanished."""
        size = np.sqrt(self.mean.diagonal())
        cosine, scale = np.full(self.sums.shape, np.nan), np.outer(size, size)
        np.divide(self.mean, scale, out=cosine, where=scale > 0)
        return cosine

    def expected(self, prior: Floats) -> Floats:
        """C, the inner products of the next generation, (N, N), where `prior`, (N, N) and 1 on average on the diagonal,
        counts as `SUPPOSED` of a full run; NaN before any generation.

        The velocities of a few generations span few directions. Whatever goes beyond those, the mean would predict
        with certainty, by weights that mean nothing.
        """
        return self._with(prior, SUPPOSED)

    def smoothed(self, prior: Floats) -> Floats:
        """The same, where `prior` counts as much as all generations together."""
        return self._with(prior, self.weight)

    def add_run(self, gram: Floats) -> None:
        """Learn from a generation that evaluated every step.

        Args:
            gram: <v_i, v_j> / dim, shape (N, N).

        Raises:
            InvalidInput: if they are not the inner products of N velocities; nothing is learnt then.
        """
        self._add(checked(gram, self.steps), 1.0)

    def add_completed(self, gram: Floats) -> None:
        """Learn from a generation that skipped, whose inner products `completed` filled in; shape (N, N)."""
        self._add(gram, COMPLETED)

    def completed(self, steps: Sequence[int], gram: Floats, expected: Floats) -> Floats:
        """All inner products of a generation that evaluated only `steps`, (N, N): the others in expectation.

        Sums over different generations in different entries would be the inner products of no velocities at all, and
        predictions made from them worthless.

        Args:
            steps: the evaluated steps, rising.
            gram: their <v_i, v_j> / dim, shape (len(steps), len(steps)).
            expected: the inner products to complete from, shape (N, N), of a table that has seen a full run.

        Raises:
            InvalidInput: if one of them is not what it has to be.
        """
        if not len(steps) or np.any(np.diff(steps) <= 0) or not 0 <= steps[0] <= steps[-1] < self.steps:
            raise InvalidInput(f"the evaluated steps {list(steps)} have to rise within 0 to {self.steps - 1}")
        if expected.shape != self.sums.shape or not np.isfinite(expected).all():
            raise InvalidInput("a skipping run can be completed only from the mean of a full run; learn from one first")
        return completed(steps, checked(gram, len(steps)), expected)

    def lent(self, weight: float) -> InnerProducts:
        """The same mean, at no more than `weight` of a full run."""
        share = min(1.0, weight / self.weight) if self.weight else 0.0
        return InnerProducts(self.sums * share, self.weight * share)

    def merge(self, other: InnerProducts) -> InnerProducts:
        """The sums of both, as new ones."""
        return InnerProducts(self.sums + other.sums, self.weight + other.weight)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {"products": upper_triangle(self.sums), "weight": self.weight}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> InnerProducts:
        """What `to_dict` described; raises ValueError on a wrong shape, or sums that no velocities could have left."""
        products = cls(symmetric(fields, "products"), float(floats(fields, "weight", ())))
        if (products.sums.diagonal() < 0).any():
            raise ValueError("`products` has a negative diagonal, which no sum of squares has")
        if products.weight < 0 or (products.weight == 0 and products.sums.any()):
            raise ValueError("`products` and `weight` contradict each other")
        return products

    def _with(self, prior: Floats, weight: float) -> Floats:
        supposed = weight * self.mean.diagonal().mean() * prior
        products: Floats = (self.sums + supposed) / (self.weight + weight)
        return products

    def _add(self, gram: Floats, weight: float) -> None:
        self.sums += weight * gram
        self.weight += weight
