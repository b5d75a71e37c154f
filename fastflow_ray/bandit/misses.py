"""How far predictions of velocities miss on the way, of what full runs let one expect of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fastflow_ray.bandit.per_step import Counts, Floats, PerStep, check_sums, nearness

LENT = 4  # misses at most that a step lends its neighbours
LEAST_EXCESS = 0.25  # of squared errors
BAND = 2.0  # standard deviations of the log error of predictions, beyond which a job is out of its band


@dataclass(eq=False)
class Misses(PerStep):
    """Ratios of observed to expected squared error, of the learned plans that jobs and audits walked."""

    log_sum: Floats  # (N,): of the logarithms of the ratios at the evaluation of step k
    square_sum: Floats  # (N,): of their squares
    count: Counts  # (N,): predictions in each sum

    @property
    def excess(self) -> Floats:
        """The factor by which squared errors of predictions exceed on the way what is expected of them along full runs,
        by the step that ends the skip, (N + 1,).

        The mean of its logarithm over the misses seen at a step and, fewer and fewer, near it; one that came true as
        expected is taken as seen. At least `LEAST_EXCESS`: a skip that never missed may still miss in the next job.
        """
        steps = len(self.count)
        near = nearness(steps + 1, steps)
        seen = np.where(near == 1, self.count, near * np.minimum(self.count, LENT))
        mean_log = self.log_sum / np.maximum(self.count, 1)
        excess: Floats = np.maximum(np.exp(seen @ mean_log / (seen.sum(1) + 1)), LEAST_EXCESS)
        return excess

    @property
    def excess_db(self) -> Floats:
        """`excess` as a level, (N + 1,)."""
        level: Floats = 10 * np.log10(self.excess)
        return level

    def add(self, step: int, ratio: float) -> None:
        """Learn from one prediction: its squared error over the expected one, as seen by the evaluation at `step`."""
        if ratio > 0 and math.isfinite(ratio):
            self.log_sum[step] += math.log(ratio)
            self.square_sum[step] += math.log(ratio) ** 2
            self.count[step] += 1

    def band(self, step: int) -> float:
        """The ratio of observed to expected squared error at `step` that a job exceeds only out of the ordinary: the
        logarithm's mean and `BAND` standard deviations, to which a spread of three counts as eight predictions.
        """
        count, prior = int(self.count[step]), 8
        mean = float(self.log_sum[step]) / (count + prior)
        square = (float(self.square_sum[step]) + prior * math.log(3) ** 2) / (count + prior)
        return math.exp(mean + BAND * math.sqrt(max(square - mean**2, 0.0)))

    def check(self) -> None:
        """As `PerStep` says."""
        check_sums(self.count, self.log_sum, self.square_sum)
        if (self.square_sum < 0).any():
            raise ValueError("`square_sum` is negative, which no sum of squares is")
