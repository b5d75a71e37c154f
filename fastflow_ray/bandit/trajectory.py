"""What one policy key has learnt about the velocities along a trajectory: their mean inner products and, each in a room
of its own, how deviations grow, how velocities respond, how far predictions miss, whether they should be smooth, and
what audits measured. Kept as sums and counts, so that two tables merge by addition; knows no velocity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import AuditBook
from fastflow_ray.bandit.fields import counts
from fastflow_ray.bandit.growth import Growth
from fastflow_ray.bandit.inner_products import InnerProducts
from fastflow_ray.bandit.misses import Misses
from fastflow_ray.bandit.response import Response
from fastflow_ray.bandit.smoothing import Smoothing
from fastflow_ray.errors import StatisticsMismatch

Floats = NDArray[np.float64]

COUNTS = ("runs", "full_runs", "evaluations", "audit_evaluations")
FIELDS = {"grid", "products", "weight", "growth", "response", "misses", "smoothing", *COUNTS, "audits"}  # of a document


@dataclass(eq=False)
class TrajectoryTable:
    """What the generations of one grid of N steps have taught."""

    grid: str  # fingerprint of the sigmas, from `sampling.grid`
    products: InnerProducts
    growth: Growth
    response: Response
    misses: Misses
    runs: int = 0  # generations
    full_runs: int = 0  # generations that evaluated every step
    evaluations: int = 0  # steps evaluated for whoever asked
    audit_evaluations: int = 0  # steps evaluated beside them, to learn
    smoothing: Smoothing = field(default_factory=Smoothing)
    audits: AuditBook = field(default_factory=AuditBook)

    @classmethod
    def empty(cls, steps: int, grid: str) -> TrajectoryTable:
        """A table that has learnt nothing."""
        return cls(grid, InnerProducts.empty(steps), Growth.empty(steps), Response.empty(steps), Misses.empty(steps))

    @property
    def steps(self) -> int:
        """N, of the grid."""
        return self.products.steps

    def add_run(self, gram: Floats) -> None:
        """Learn from a generation that evaluated every step; as `InnerProducts.add_run`."""
        self.products.add_run(gram)
        self.runs += 1
        self.full_runs += 1

    def add_completed(self, gram: Floats) -> None:
        """Learn from a generation that skipped; as `InnerProducts.add_completed`."""
        self.products.add_completed(gram)
        self.runs += 1

    def borrowed(self, weight: float) -> TrajectoryTable:
        """What a neighbouring key may begin from: the same means at no more than `weight` of a full run, and no
        generation or audit to its name."""
        lent = TrajectoryTable.empty(self.steps, self.grid)
        lent.products = self.products.lent(weight)
        share = lent.products.weight / self.products.weight if self.products.weight else 0.0
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
            self.products.merge(other.products),
            self.growth.merge(other.growth),
            self.response.merge(other.response),
            self.misses.merge(other.misses),
            self.runs + other.runs,
            self.full_runs + other.full_runs,
            self.evaluations + other.evaluations,
            self.audit_evaluations + other.audit_evaluations,
            self.smoothing.merge(other.smoothing),
            self.audits.merge(other.audits),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {
            "grid": self.grid,
            **self.products.to_dict(),
            "growth": self.growth.to_dict(),
            "response": self.response.to_dict(),
            "misses": self.misses.to_dict(),
            "smoothing": self.smoothing.to_dict(),
            **{name: getattr(self, name) for name in COUNTS},
            "audits": self.audits.to_dict(),
        }

    @classmethod
    def from_dict(cls, fields: Any) -> TrajectoryTable:
        """The table `to_dict` described; raises ValueError on a missing field, a wrong shape, or values that no
        generations could have left."""
        if not isinstance(fields, dict) or set(fields) != FIELDS:
            raise ValueError(f"a table needs exactly the fields {', '.join(sorted(FIELDS))}")
        if not isinstance(fields["grid"], str):
            raise ValueError("`grid` has to be text")
        products = InnerProducts.from_dict(fields)
        table = cls(
            fields["grid"],
            products,
            Growth.from_dict(fields["growth"], products.steps),
            Response.from_dict(fields["response"], products.steps),
            Misses.from_dict(fields["misses"], products.steps),
            **{name: int(counts(fields, name, ())) for name in COUNTS},
            smoothing=Smoothing.from_dict(fields["smoothing"]),
            audits=AuditBook.from_dict(fields["audits"]),
        )
        if max(table.full_runs, products.weight) > table.runs:
            raise ValueError("`runs` is less than the generations counted")
        return table
