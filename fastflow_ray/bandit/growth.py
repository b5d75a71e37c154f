"""How deviations in x grow until the end, as audits saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.per_step import Counts, Floats, PerStep, check_sums
from fastflow_ray.errors import InvalidInput

EARLY_GROWTH = 8.0  # by how much deviations at sigma = 1 are taken to outgrow those at 0 where none was measured


@dataclass(eq=False)
class Growth(PerStep):
    """A deviation in x grows by g_k over step k."""

    log_sum: Floats  # (N,): log g_k summed over audits
    count: Counts  # (N,): audits in each sum

    @property
    def to_end(self) -> Floats:
        """G_j = prod_{k ≥ j} g_k, by which a deviation present in x at step j arrives at the end, (N + 1,); G_N = 1.

        The mean of log g_k over audits, to which `growth_prior` counts as one audit more.
        """
        prior = np.log(growth_prior(len(self.count)))
        log_factor = (self.log_sum + prior[:-1] - prior[1:]) / (self.count + 1)
        growth: Floats = np.exp(np.append(np.cumsum(log_factor[::-1])[::-1], 0.0))
        return growth

    def add(self, log_growth: Floats, known: NDArray[np.bool_]) -> None:
        """Learn from one audit.

        Args:
            log_growth: log g_k, shape (N,); read only where `known`.
            known: whether step k was measured, shape (N,).

        Raises:
            InvalidInput: on another shape, or a measurement that is not finite; nothing is learnt then.
        """
        if not log_growth.shape == known.shape == self.count.shape or known.dtype != np.bool_:
            raise InvalidInput(
                f"growth has to be given, and said to be known or not, for each of {len(self.count)} steps"
            )
        if not np.isfinite(log_growth[known]).all():
            raise InvalidInput("the growth of a deviation has to be finite; leave out steps where it vanished")
        self.log_sum[known] += log_growth[known]
        self.count[known] += 1

    def lent(self) -> Growth:
        """What a neighbouring key may begin from: the same means, as if of one audit."""
        mean = np.divide(self.log_sum, self.count, out=np.zeros(len(self.count)), where=self.count > 0)
        return Growth(mean, np.minimum(self.count, 1))

    def check(self) -> None:
        """As `PerStep` says."""
        check_sums(self.count, self.log_sum)


def growth_prior(steps: int) -> Floats:
    """G_j by law, shape (steps + 1,): `EARLY_GROWTH`^(1 − j/N), for early deviations decide the content."""
    prior: Floats = EARLY_GROWTH ** (1 - np.arange(steps + 1) / steps)
    return prior
