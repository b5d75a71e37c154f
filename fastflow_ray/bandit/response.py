"""How a velocity answers where x is moved, as audits saw it: those evaluated before the move go along by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastflow_ray.bandit.per_step import Floats, PerStep, check_sums, nearness
from fastflow_ray.errors import InvalidInput


@dataclass(eq=False)
class Response(PerStep):
    """Least squares of how velocities should have answered on how x was moved, step by step."""

    product: Floats  # (N,): of the move and the answer, summed over audits
    square: Floats  # (N,): of the move

    @property
    def share(self) -> Floats:
        """Of the answer by which the sample that a velocity points to stays the same, (N,), 0 to 1: the least-squares
        ratio of the audits that moved x at a step and, less and less, near it; 0 where none did.
        """
        near = nearness(len(self.square), len(self.square))
        answered, moved = near @ self.product, near @ self.square
        return np.clip(np.divide(answered, moved, out=np.zeros(len(moved)), where=moved > 0), 0.0, 1.0)

    def add(self, product: Floats, square: Floats) -> None:
        """Learn from one audit.

        Args:
            product: of the move of x at step k and of how its velocity should have answered, shape (N,).
            square: of the move, shape (N,); 0 where x was not moved.

        Raises:
            InvalidInput: on another shape, or numbers that no such products are; nothing is learnt then.
        """
        if not product.shape == square.shape == self.square.shape:
            raise InvalidInput(f"the response has to be given for each of {len(self.square)} steps")
        if not np.isfinite([product, square]).all() or (square < 0).any() or product[square == 0].any():
            raise InvalidInput("a response needs finite products, squares of 0 or more, and none where x was not moved")
        self.product += product
        self.square += square

    def lent(self, weight: float) -> Response:
        """The same, weighing so much of itself."""
        return Response(self.product * weight, self.square * weight)

    def check(self) -> None:
        """As `PerStep` says."""
        check_sums(self.square, self.product)
