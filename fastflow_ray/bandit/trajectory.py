"""What one policy key has learnt about the velocities along a trajectory: their mean inner products, how deviations
grow, how velocities respond, how far predictions miss, and what audits measured. Kept as sums and counts, so that two
tables merge by addition; knows no velocity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.audits import AuditBook
from fastflow_ray.bandit.fields import counts, floats
from fastflow_ray.bandit.gram import checked, completed
from fastflow_ray.errors import InvalidInput, StatisticsMismatch

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

COMPLETED = 0.25  # of a full run: what a skipping run weighs, most of whose inner products are expectations
EARLY_GROWTH = 8.0  # by how much deviations at sigma = 1 are taken to outgrow those at 0 where none was measured
NEARBY = 0.5  # what is seen one step away tells of a step; two steps away its square
LENT = 4  # misses at most that a step lends its neighbours
LEAST_EXCESS = 0.25  # of squared errors
BAND = 2.0  # standard deviations of the log error of predictions, beyond which a job is out of its band


@dataclass(eq=False)
class TrajectoryTable:
    """Inner products of the velocities v_0 … v_{N−1} over the generations of one grid of N steps."""

    grid: str  # fingerprint of the sigmas, from `sampling.grid`
    products: Floats  # (N, N): <v_i, v_j> / dim, weighted and summed over the generations; symmetric
    growth_log_sum: Floats  # (N,): log g_k summed over audits; a deviation in x grows by g_k over step k
    growth_count: Counts  # (N,): audits in each sum
    response_sum: Floats  # (N,): products of a move of x and how the velocity was seen to answer, summed over audits
    response_weight: Floats  # (N,): squares of the same moves, summed
    miss_log_sum: Floats  # (N,): log of observed over expected squared error of predictions of v_k, summed
    miss_square_sum: Floats  # (N,): its square, summed
    miss_count: Counts  # (N,): predictions in each sum
    weight: float = 0.0  # sum of the weights: 1 for each full run, `COMPLETED` for each skipping one
    runs: int = 0  # generations
    full_runs: int = 0  # generations that evaluated every step
    evaluations: int = 0  # steps evaluated for whoever asked
    audit_evaluations: int = 0  # steps evaluated beside them, to learn
    audits: AuditBook = field(default_factory=AuditBook)

    @classmethod
    def empty(cls, steps: int, grid: str) -> TrajectoryTable:
        """A table that has learnt nothing."""
        zeros, none = np.zeros((5, steps)), np.zeros((2, steps), np.int64)
        growth, response, weight, miss, square = zeros
        return cls(grid, np.zeros((steps, steps)), growth, none[0], response, weight, miss, square, none[1])

    @property
    def steps(self) -> int:
        """N, of the grid."""
        return len(self.growth_log_sum)

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

    @property
    def growth(self) -> Floats:
        """G_j = prod_{k ≥ j} g_k, by which a deviation present in x at step j arrives at the end, (N + 1,); G_N = 1.

        The mean of log g_k over audits, to which `growth_prior` counts as one audit more.
        """
        prior = np.log(growth_prior(self.steps))
        log_factor = (self.growth_log_sum + prior[:-1] - prior[1:]) / (self.growth_count + 1)
        growth: Floats = np.exp(np.append(np.cumsum(log_factor[::-1])[::-1], 0.0))
        return growth

    @property
    def excess(self) -> Floats:
        """The factor by which squared errors of predictions exceed on the way what is expected of them along full runs,
        by the step that ends the skip, (N + 1,).

        The mean of its logarithm over the misses seen at a step and, fewer and fewer, near it; one that came true as
        expected is taken as seen. At least `LEAST_EXCESS`: a skip that never missed may still miss in the next job.
        """
        near = _nearness(self.steps)
        seen = np.where(near == 1, self.miss_count, near * np.minimum(self.miss_count, LENT))
        mean_log = self.miss_log_sum / np.maximum(self.miss_count, 1)
        excess: Floats = np.maximum(np.exp(seen @ mean_log / (seen.sum(1) + 1)), LEAST_EXCESS)
        return excess

    @property
    def response(self) -> Floats:
        """By how much the velocity at a step answers where x is moved, (N,): 0 not at all, 1 so that the sample it
        points to stays the same. Of the audits that moved x there and, less and less, near it; 0 where none did.
        """
        near = _nearness(self.steps)[:-1]
        answered, moved = near @ self.response_sum, near @ self.response_weight
        return np.clip(np.divide(answered, moved, out=np.zeros(self.steps), where=moved > 0), 0.0, 1.0)

    @property
    def excess_db(self) -> Floats:
        """`excess` as a level, (N + 1,)."""
        level: Floats = 10 * np.log10(self.excess)
        return level

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

    def add_growth(self, log_growth: Floats, known: NDArray[np.bool_]) -> None:
        """Learn from one audit how deviations grow.

        Args:
            log_growth: log g_k, shape (N,); read only where `known`.
            known: whether step k was measured, shape (N,).

        Raises:
            InvalidInput: on another shape, or a measurement that is not finite; nothing is learnt then.
        """
        if log_growth.shape != (self.steps,) or known.shape != (self.steps,) or known.dtype != np.bool_:
            raise InvalidInput(f"growth has to be given, and said to be known or not, for each of {self.steps} steps")
        if not np.isfinite(log_growth[known]).all():
            raise InvalidInput("the growth of a deviation has to be finite; leave out steps where it vanished")
        self.growth_log_sum[known] += log_growth[known]
        self.growth_count[known] += 1

    def add_response(self, product: Floats, square: Floats) -> None:
        """Learn from one audit how velocities respond.

        Args:
            product: of the move of x at step k and of how its velocity should have answered, shape (N,).
            square: of the move, shape (N,); 0 where x was not moved.

        Raises:
            InvalidInput: on another shape, or numbers that no such products are; nothing is learnt then.
        """
        if product.shape != (self.steps,) or square.shape != (self.steps,):
            raise InvalidInput(f"the response has to be given for each of {self.steps} steps")
        if not np.isfinite([product, square]).all() or (square < 0).any() or product[square == 0].any():
            raise InvalidInput("a response needs finite products, squares of 0 or more, and none where x was not moved")
        self.response_sum += product
        self.response_weight += square

    def add_miss(self, step: int, ratio: float) -> None:
        """Learn from one prediction: its squared error over the expected one, as seen by the evaluation at `step`."""
        if ratio > 0 and math.isfinite(ratio):
            self.miss_log_sum[step] += math.log(ratio)
            self.miss_square_sum[step] += math.log(ratio) ** 2
            self.miss_count[step] += 1

    def band(self, step: int) -> float:
        """The ratio of observed to expected squared error at `step` that a job exceeds only out of the ordinary.

        The logarithm's mean and `BAND` standard deviations, to which a spread of three counts as eight predictions. Of
        learned plans that jobs and audits walked.
        """
        count, prior = int(self.miss_count[step]), 8
        mean = float(self.miss_log_sum[step]) / (count + prior)
        square = (float(self.miss_square_sum[step]) + prior * math.log(3) ** 2) / (count + prior)
        return math.exp(mean + BAND * math.sqrt(max(square - mean**2, 0.0)))

    def borrowed(self, weight: float) -> TrajectoryTable:
        """What a neighbouring key may begin from: the same means at no more than `weight` of a full run, and no
        generation or audit to its name."""
        share = min(1.0, weight / self.weight) if self.weight else 0.0
        lent = TrajectoryTable.empty(self.steps, self.grid)
        lent.products, lent.weight = self.products * share, self.weight * share
        measured = self.growth_count > 0
        lent.growth_log_sum[measured] = self.growth_log_sum[measured] / self.growth_count[measured]
        lent.growth_count[measured] = 1
        lent.response_sum, lent.response_weight = self.response_sum * share, self.response_weight * share
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
            self.growth_log_sum + other.growth_log_sum,
            self.growth_count + other.growth_count,
            self.response_sum + other.response_sum,
            self.response_weight + other.response_weight,
            self.miss_log_sum + other.miss_log_sum,
            self.miss_square_sum + other.miss_square_sum,
            self.miss_count + other.miss_count,
            self.weight + other.weight,
            self.runs + other.runs,
            self.full_runs + other.full_runs,
            self.evaluations + other.evaluations,
            self.audit_evaluations + other.audit_evaluations,
            self.audits.merge(other.audits),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, of symmetric matrices the upper triangle row by row; floats keep every bit."""
        upper = np.triu_indices(self.steps)
        return {
            "grid": self.grid,
            "products": self.products[upper].tolist(),
            "growth_log_sum": self.growth_log_sum.tolist(),
            "growth_count": self.growth_count.tolist(),
            "response_sum": self.response_sum.tolist(),
            "response_weight": self.response_weight.tolist(),
            "miss_log_sum": self.miss_log_sum.tolist(),
            "miss_square_sum": self.miss_square_sum.tolist(),
            "miss_count": self.miss_count.tolist(),
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
        if not isinstance(fields["growth_count"], list) or not fields["growth_count"]:
            raise ValueError("`growth_count` has to hold one value per step")
        steps = len(fields["growth_count"])
        triangle = (steps * (steps + 1) // 2,)
        table = cls(
            grid=fields["grid"],
            products=_symmetric(floats(fields, "products", triangle), steps),
            growth_log_sum=floats(fields, "growth_log_sum", (steps,)),
            growth_count=counts(fields, "growth_count", (steps,)),
            response_sum=floats(fields, "response_sum", (steps,)),
            response_weight=floats(fields, "response_weight", (steps,)),
            miss_log_sum=floats(fields, "miss_log_sum", (steps,)),
            miss_square_sum=floats(fields, "miss_square_sum", (steps,)),
            miss_count=counts(fields, "miss_count", (steps,)),
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
        sums_over_nothing = (
            self.growth_log_sum[self.growth_count == 0],
            self.response_sum[self.response_weight == 0],
            self.miss_log_sum[self.miss_count == 0],
            self.miss_square_sum[self.miss_count == 0],
        )
        if any(sums.any() for sums in sums_over_nothing):
            raise ValueError("a sum over nothing is not 0")
        for name in ("miss_square_sum", "response_weight"):
            if (getattr(self, name) < 0).any():
                raise ValueError(f"`{name}` is negative, which no sum of squares is")
        if max(self.full_runs, self.weight) > self.runs:
            raise ValueError("`runs` is less than the generations counted")


def growth_prior(steps: int) -> Floats:
    """G_j by law, shape (steps + 1,): `EARLY_GROWTH`^(1 − j/N), for early deviations decide the content."""
    prior: Floats = EARLY_GROWTH ** (1 - np.arange(steps + 1) / steps)
    return prior


def _nearness(steps: int) -> Floats:
    """What a step tells of another, [another, step], (steps + 1, steps): `NEARBY` to the power of their distance."""
    apart = np.abs(np.subtract.outer(np.arange(steps + 1), np.arange(steps)))
    nearness: Floats = NEARBY**apart
    return nearness


def _symmetric(triangle: NDArray[Any], steps: int) -> NDArray[Any]:
    """The matrix whose upper triangle, row by row, is `triangle`."""
    matrix = np.zeros((steps, steps), triangle.dtype)
    matrix[np.triu_indices(steps)] = triangle
    return np.triu(matrix, 1).T + matrix
