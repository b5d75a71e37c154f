"""What one policy key has learnt about the velocities along a trajectory: their mean inner products and, each in a room
of its own, how deviations grow, how velocities respond, how far predictions miss, and what audits measured. Kept as
sums and counts, so that two tables merge by addition; knows no velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import AuditBook
from fastflow_ray.bandit.fields import counts, floats, symmetric, upper_triangle
from fastflow_ray.bandit.gram import checked, completed
from fastflow_ray.bandit.growth import Growth
from fastflow_ray.bandit.misses import Misses
from fastflow_ray.bandit.response import Response
from fastflow_ray.errors import InvalidInput, StatisticsMismatch

Floats = NDArray[np.float64]

COMPLETED = 1 / 64  # of a full run: what a skipping run weighs, whose velocities err where predictions led


@dataclass(eq=False)
class TrajectoryTable:
    """Inner products of the velocities v_0 … v_{N−1} over the generations of one grid of N steps."""

    grid: str  # fingerprint of the sigmas, from `sampling.grid`
    products: Floats  # (N, N): <v_i, v_j> / dim, weighted and summed over the generations; symmetric
    growth: Growth
    response: Response
    misses: Misses
    weight: float = 0.0  # sum of the weights: 1 for each full run, `COMPLETED` for each skipping one
    runs: int = 0  # generations
    full_runs: int = 0  # generations that evaluated every step
    evaluations: int = 0  # steps evaluated for whoever asked
    audit_evaluations: int = 0  # steps evaluated beside them, to learn
    audits: AuditBook = field(default_factory=AuditBook)

    @classmethod
    def empty(cls, steps: int, grid: str) -> TrajectoryTable:
        """A table that has learnt nothing."""
        return cls(grid, np.zeros((steps, steps)), Growth.empty(steps), Response.empty(steps), Misses.empty(steps))

    @property
    def steps(self) -> int:
        """N, of the grid."""
        return len(self.products)

    @property
    def mean(self) -> Floats:
        """C, the inner products per generation, (N, N); NaN before any generation."""
        mean: Floats = self.products / self.weight if self.weight else np.full(self.products.shape, np.nan)
        return mean

    @property
    def cosine(self) -> Floats:
        """Of the angle between two velocities, (N, N); NaN where nothing is known, or one of them vanished."""
        size = np.sqrt(self.mean.diagonal())
        cosine, scale = np.full(self.products.shape, np.nan), np.outer(size, size)
        np.divide(self.mean, scale, out=cosine, where=scale > 0)
        return cosine

    def add_run(self, gram: Floats) -> None:
        """Learn from a generation that evaluated every step.

        Args:
            gram: <v_i, v_j> / dim, shape (N, N).

        Raises:
            InvalidInput: if they are not the inner products of N velocities; nothing is learnt then.
        """
        self._add(checked(gram, self.steps), 1.0)
        self.full_runs += 1

    def add_block(self, steps: Sequence[int], gram: Floats, known: Floats) -> None:
        """Learn from a generation that evaluated only `steps`: its other inner products are filled in by expectation.

        Sums over different generations in different entries would be the inner products of no velocities at all, and
        predictions made from them worthless.

        Args:
            steps: the evaluated steps, rising.
            gram: their <v_i, v_j> / dim, shape (len(steps), len(steps)).
            known: the mean to complete from, shape (N, N), of a table that has seen a full run.

        Raises:
            InvalidInput: if one of them is not what it has to be; nothing is learnt then.
        """
        if not len(steps) or np.any(np.diff(steps) <= 0) or not 0 <= steps[0] <= steps[-1] < self.steps:
            raise InvalidInput(f"the evaluated steps {list(steps)} have to rise within 0 to {self.steps - 1}")
        if known.shape != self.products.shape or not np.isfinite(known).all():
            raise InvalidInput("a skipping run can be completed only from the mean of a full run; learn from one first")
        self._add(completed(steps, checked(gram, len(steps)), known), COMPLETED)

    def borrowed(self, weight: float) -> TrajectoryTable:
        """What a neighbouring key may begin from: the same means at no more than `weight` of a full run, and no
        generation or audit to its name."""
        share = min(1.0, weight / self.weight) if self.weight else 0.0
        lent = TrajectoryTable.empty(self.steps, self.grid)
        lent.products, lent.weight = self.products * share, self.weight * share
        lent.growth, lent.response = self.growth.lent(), self.response.lent(share)
        return lent

    def check(self, key: str, steps: int, grid: str) -> None:
        """Raise StatisticsMismatch unless this table is about the same steps and grid."""
        ours, theirs = (self.steps, self.grid), (steps, grid)
        if ours != theirs:
            raise StatisticsMismatch(
                f"the trajectories under {key!r} are of (steps, grid) = {ours}, not {theirs};"
                " use another key, or start from empty statistics"
            )

    def merge(self, other: TrajectoryTable, key: str) -> TrajectoryTable:
        """The sum of both, as a new table; raises StatisticsMismatch naming `key` if they differ in kind."""
        self.check(key, other.steps, other.grid)
        return TrajectoryTable(
            self.grid,
            self.products + other.products,
            self.growth.merge(other.growth),
            self.response.merge(other.response),
            self.misses.merge(other.misses),
            self.weight + other.weight,
            self.runs + other.runs,
            self.full_runs + other.full_runs,
            self.evaluations + other.evaluations,
            self.audit_evaluations + other.audit_evaluations,
            self.audits.merge(other.audits),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {
            "grid": self.grid,
            "products": upper_triangle(self.products),
            "growth": self.growth.to_dict(),
            "response": self.response.to_dict(),
            "misses": self.misses.to_dict(),
            "weight": self.weight,
            "runs": self.runs,
            "full_runs": self.full_runs,
            "evaluations": self.evaluations,
            "audit_evaluations": self.audit_evaluations,
            "audits": self.audits.to_dict(),
        }

    @classmethod
    def from_dict(cls, fields: Any) -> TrajectoryTable:
        """The table `to_dict` described; raises ValueError on a missing field, a wrong shape, or values that no
        generations could have left."""
        if not isinstance(fields, dict) or set(fields) != set(cls.__dataclass_fields__):
            raise ValueError(f"a table needs exactly the fields {', '.join(cls.__dataclass_fields__)}")
        if not isinstance(fields["grid"], str):
            raise ValueError("`grid` has to be text")
        products = symmetric(fields, "products")
        steps = len(products)
        table = cls(
            grid=fields["grid"],
            products=products,
            growth=Growth.from_dict(fields["growth"], steps),
            response=Response.from_dict(fields["response"], steps),
            misses=Misses.from_dict(fields["misses"], steps),
            weight=float(floats(fields, "weight", ())),
            runs=int(counts(fields, "runs", ())),
            full_runs=int(counts(fields, "full_runs", ())),
            evaluations=int(counts(fields, "evaluations", ())),
            audit_evaluations=int(counts(fields, "audit_evaluations", ())),
            audits=AuditBook.from_dict(fields["audits"]),
        )
        table._check_sums()
        return table

    def _add(self, gram: Floats, weight: float) -> None:
        self.products += weight * gram
        self.weight += weight
        self.runs += 1

    def _check_sums(self) -> None:
        """Raise ValueError if the sums and counts contradict each other."""
        if (self.products.diagonal() < 0).any():
            raise ValueError("`products` has a negative diagonal, which no sum of squares has")
        if self.weight < 0 or (self.weight == 0 and self.products.any()):
            raise ValueError("`products` and `weight` contradict each other")
        if max(self.full_runs, self.weight) > self.runs:
            raise ValueError("`runs` is less than the generations counted")
