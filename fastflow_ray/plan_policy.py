"""What one generation's plan is drawn up from, and what the generation teaches."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from torch import Tensor

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput
from fastflow_ray.learned_plan import audit_is_due, learn, learned_plan, measured_growth
from fastflow_ray.pace import Pace
from fastflow_ray.sampling.sightings import Sightings


class PlanPolicy:
    """Draws up the plan of one generation at the pace asked for, and writes what it teaches into both tables."""

    def __init__(
        self,
        known: TrajectoryTable,
        learnt: TrajectoryTable,
        pace: Pace,
        sigmas: Tensor,
        restarts: Collection[int] = (),
    ) -> None:
        """For the grid `sigmas`, shape (steps + 1,); at the steps `restarts` another network takes over. Raises
        InvalidInput if no plan of this pace can be drawn up."""
        self._known = known
        self._tables = (learnt, known)  # in this order: both learn by what was known before
        self._dsigma = np.diff(sigmas.cpu().double().numpy())
        if pace.plan is not None:
            self.plan, self.audit_is_due = pace.plan, False
        else:
            evaluations = _evaluations_for(pace, known)
            self.plan = learned_plan(known, self._dsigma, evaluations, restarts)
            self.audit_is_due = audit_is_due(known, evaluations)

    def learn(self, seen: Sightings) -> None:
        """Take in what a trajectory showed. Only a full run can be learnt from first: a plan may be walked again where
        nothing is known."""
        if self._known.full_runs or len(seen.steps) == self._known.steps:
            for table in self._tables:
                learn(table, seen, known=self._known)

    def learn_growth(self, walked: Sightings, full: Sightings) -> None:
        """Take in how deviations grew, from the plan's trajectory and the full one of the same seed."""
        growth = measured_growth(self.plan, walked, full, self._dsigma)
        for table in self._tables:
            table.add_growth(*growth)


def _evaluations_for(pace: Pace, known: TrajectoryTable) -> int:
    """How many steps a plan of this pace evaluates, by what is known; raises InvalidInput if it cannot be told."""
    if pace.fidelity_db is not None:
        raise InvalidInput("what a fidelity takes is not learnt yet; ask for `evaluations` or a `speedup` instead")
    return pace.evaluations_for(known.steps)
