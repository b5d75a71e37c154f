"""What a trajectory showed becomes knowledge: inner products of its velocities, and how far its predictions missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_error import foreseen_error
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.sightings import Sightings

Floats = NDArray[np.float64]

SETTLED = 20  # full runs, after which plans change little
TOLD = 100  # misses at a step, after which more would only keep plans from settling


def learn(tables: Iterable[TrajectoryTable], sightings: Sightings, known: TrajectoryTable, mean: Floats) -> None:
    """Add what a finished trajectory showed to each of `tables`; a skipping one is completed from `mean`, the inner
    products it was expected to have, and only counted once what is `known` is settled: it could teach little, and would
    void what audits said of the plans drawn up so far. Waits for the device once, if at all."""
    full, settled = len(sightings.steps) == known.steps, known.full_runs >= SETTLED
    gram = sightings.gram if full or not settled else None
    for table in tables:
        if gram is None:
            table.runs += 1
        elif full:
            table.add_run(gram)
        else:
            table.add_block(sightings.steps, gram, mean)


def learn_misses(
    tables: Collection[TrajectoryTable], plan: Plan, sightings: Sightings, known: TrajectoryTable, mean: Floats
) -> None:
    """Add by how much the predictions of a walked plan missed, against what the expected inner products `mean` let one
    expect of them; where `known` was told enough, nothing."""
    for step, error in sightings.misses(plan):
        expected = foreseen_error(plan, mean, step)
        for table in tables if expected > 0 and known.misses.count[step] < TOLD else ():
            table.misses.add(step, error / expected)
