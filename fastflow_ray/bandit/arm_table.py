"""What one policy key has learnt: for every step and arm, how often it was pulled and how wrong it was.

Errors are kept as sums and never as rewards, so two tables merge by addition and a better scale mu, learnt later,
revalues everything learnt before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.fields import numbers
from fastflow_ray.errors import StatisticsMismatch


@dataclass(frozen=True)
class ArmRow:
    """One arm at one step, as people read it."""

    step: int
    arm: int  # steps skipped
    pulls: int
    mean_error: float  # MSE of the predicted velocity
    value: float  # Q


@dataclass(eq=False)
class ArmTable:
    """Row k of the arrays is the bandit of step k: the step at which a skip starts."""

    grid: str  # fingerprint of the sigmas, from `sampling.grid`
    arms: tuple[int, ...]  # steps skipped, rising from 0
    pulls: NDArray[np.int64]  # (steps, arms)
    error_sum: NDArray[np.float64]  # (steps, arms): MSE summed over the pulls
    scale_error_sum: NDArray[np.float64]  # (steps,): one-step MSE summed over the calibrations
    scale_runs: int = 0  # calibrations: generations run in full to learn the scale
    runs: int = 0  # generations that reached their end, calibrations among them

    @classmethod
    def empty(cls, steps: int, arms: Sequence[int], grid: str) -> ArmTable:
        """A table that has learnt nothing."""
        shape = (steps, len(arms))
        return cls(grid, tuple(arms), np.zeros(shape, np.int64), np.zeros(shape), np.zeros(steps))

    @property
    def steps(self) -> int:
        """N, of the grid."""
        return len(self.scale_error_sum)

    @property
    def mu(self) -> float:
        """What a skipped step is worth, in units of error: mu = max_t MSE_t / N; 0 before any calibration."""
        return float(self.scale_error_sum.max()) / max(self.scale_runs, 1) / self.steps

    @property
    def mean_error(self) -> NDArray[np.float64]:
        """MSE per pull, (steps, arms); NaN where an arm was never pulled."""
        mean = np.full(self.pulls.shape, np.nan)
        np.divide(self.error_sum, self.pulls, out=mean, where=self.pulls > 0)
        return mean

    @property
    def value(self) -> NDArray[np.float64]:
        """Q(m) = mu·m − mean error, the mean reward, (steps, arms); NaN where an arm was never pulled."""
        return self.mu * np.array(self.arms) - self.mean_error

    def update(self, step: int, arm: int, error: float) -> None:
        """Credit the arm pulled at `step`, where its skip started, with the error at the evaluation that ended it."""
        column = self.arms.index(arm)
        self.pulls[step, column] += 1
        self.error_sum[step, column] += error

    def calibrate(self, errors: NDArray[np.float64]) -> None:
        """Take one full generation's one-step errors, shape (steps,), into the scale."""
        self.scale_error_sum += errors
        self.scale_runs += 1

    def check(self, key: str, steps: int, arms: Sequence[int], grid: str) -> None:
        """Raise StatisticsMismatch unless this table is about the same steps, arms and grid."""
        ours, theirs = (self.steps, self.arms, self.grid), (steps, tuple(arms), grid)
        if ours != theirs:
            raise StatisticsMismatch(
                f"the statistics under {key!r} are of (steps, arms, grid) = {ours}, not {theirs};"
                " use another key, or start from empty statistics"
            )

    def merge(self, other: ArmTable, key: str) -> ArmTable:
        """The sum of both, as a new table; raises StatisticsMismatch naming `key` if they differ in kind."""
        self.check(key, other.steps, other.arms, other.grid)
        return ArmTable(
            self.grid,
            self.arms,
            self.pulls + other.pulls,
            self.error_sum + other.error_sum,
            self.scale_error_sum + other.scale_error_sum,
            self.scale_runs + other.scale_runs,
            self.runs + other.runs,
        )

    def rows(self) -> list[ArmRow]:
        """The arms that were pulled, by step and arm."""
        mean_error, value = self.mean_error, self.value
        return [
            ArmRow(int(k), self.arms[a], int(self.pulls[k, a]), float(mean_error[k, a]), float(value[k, a]))
            for k, a in np.argwhere(self.pulls)
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {
            "grid": self.grid,
            "arms": list(self.arms),
            "pulls": self.pulls.tolist(),
            "error_sum": self.error_sum.tolist(),
            "scale_error_sum": self.scale_error_sum.tolist(),
            "scale_runs": self.scale_runs,
            "runs": self.runs,
        }

    @classmethod
    def from_dict(cls, fields: Any) -> ArmTable:
        """The table `to_dict` described; raises ValueError on a missing field, a wrong shape, or a value no sum of
        counts or errors can have."""
        if not isinstance(fields, dict) or set(fields) != set(cls.__dataclass_fields__):
            raise ValueError(f"a table needs exactly the fields {', '.join(cls.__dataclass_fields__)}")
        if not isinstance(fields["grid"], str) or not isinstance(fields["arms"], list):
            raise ValueError("`grid` has to be text and `arms` a list")
        arms = _numbers(fields, "arms", np.int64, (len(fields["arms"]),))
        if arms[0] != 0 or np.any(np.diff(arms) <= 0):
            raise ValueError("`arms` has to rise from 0")
        if not isinstance(fields["scale_error_sum"], list) or not fields["scale_error_sum"]:
            raise ValueError("`scale_error_sum` has to hold one value per step")
        steps = len(fields["scale_error_sum"])
        return cls(
            grid=fields["grid"],
            arms=tuple(arms.tolist()),
            pulls=_numbers(fields, "pulls", np.int64, (steps, len(arms))),
            error_sum=_numbers(fields, "error_sum", np.float64, (steps, len(arms))),
            scale_error_sum=_numbers(fields, "scale_error_sum", np.float64, (steps,)),
            scale_runs=int(_numbers(fields, "scale_runs", np.int64, ())),
            runs=int(_numbers(fields, "runs", np.int64, ())),
        )


def _numbers(fields: dict[str, Any], name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Field `name` as an array of that shape, its numbers finite and not negative, counts being whole."""
    array = numbers(fields, name, "i" if dtype is np.int64 else "if", shape)
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError(f"`{name}` has to be finite and not negative")
    return array.astype(dtype)
