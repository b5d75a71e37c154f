"""What a trajectory showed becomes knowledge: inner products of its velocities, and how far its predictions missed."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_error import foreseen_error
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

Floats = NDArray[np.float64]

SETTLED = 20  # full runs, after which plans change little
TOLD = 100  # misses at a step, after which more would only keep plans from settling


def learn_velocities(
    tables: Collection[TrajectoryTable], sightings: Sightings, known: TrajectoryTable, mean: Floats
) -> None:
    """Add the inner products of a finished trajectory's velocities to each of `tables`, and count the generation.

    One that skipped saw only some of them: the others are filled in from `mean`, those that it was expected to have.
    Once what is `known` is settled it is only counted: it could teach little, and would void what audits said of the
    plans drawn up so far. Waits for the device once, if at all.
    """
    if len(sightings.steps) == known.steps:
        gram = sightings.gram
        for table in tables:
            table.add_run(gram)
    elif known.full_runs < SETTLED:
        gram = known.products.completed(sightings.steps, sightings.gram, mean)
        for table in tables:
            table.add_completed(gram)
    else:
        for table in tables:
            table.runs += 1


def learn_misses(
    tables: Collection[TrajectoryTable], plan: Plan, sightings: Sightings, known: TrajectoryTable, mean: Floats
) -> None:
    """Add by how much the predictions of a walked plan missed, against what the expected inner products `mean` let one
    expect of them; where `known` was told enough, nothing."""
    for step, error in sightings.misses(plan):
        expected = foreseen_error(plan, mean, step)
        for table in tables if expected > 0 and known.misses.count[step] < TOLD else ():
            table.misses.add(step, error / expected)
