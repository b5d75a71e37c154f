"""FastFlow as published, for one generation: the bandits' choices, in the terms in which sampling asks for them.

Source: FastFlow, arXiv 2602.11105.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.ucb import pull


class BanditPolicy:
    """One generation's `SkipPolicy`: decides from the table of what is known, and writes what it learns into it.

    Where mu, what skipping a step is worth, is not known yet, the generation is a calibration: every step is evaluated,
    and the one-step errors, which are pulls of arm 0 like any other, give mu = max_t MSE_t / N.
    """

    def __init__(self, known: ArmTable, learnt: ArmTable, gamma: float, begun: ArmTable | None = None) -> None:
        """`begun` is what an interrupted generation decided from; else it is what is known now."""
        self._known = begun or copy.deepcopy(known)
        self._tables = (known, learnt)
        self._gamma = gamma
        self._calibration = None if self._known.scale_runs else np.zeros(known.steps)  # its one-step errors

    def choose(self, step: int, longest: int) -> int:
        """The arm of largest upper confidence bound among those of at most `longest` steps."""
        if self._calibration is not None:
            return 0
        admissible = sum(arm <= longest for arm in self._known.arms)
        values, pulls = self._known.value[step, :admissible], self._known.pulls[step, :admissible]
        return self._known.arms[pull(values, pulls, self._gamma)]

    def observe(self, step: int, skipped: int, error: float) -> None:
        """Credit the arm pulled at `step`."""
        for table in self._tables:
            table.update(step, skipped, error)
        if self._calibration is not None:
            self._calibration[step] = error

    def state(self) -> dict[str, Any]:
        """As `models.attachment.Decider`: what it decides from does not change on the way."""
        return {"table": self._known.to_dict()}

    def finish(self) -> None:
        """Count the generation; only a calibration that reached its end sets mu."""
        for table in self._tables:
            table.runs += 1
            if self._calibration is not None:
                table.calibrate(self._calibration)
