"""Fleets of several sizes in several worlds, and what each world's best plan would have kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastflow_ray.bench.regret.fleet import Job, run
from fastflow_ray.bench.regret.learning import Fleet
from fastflow_ray.bench.regret.world import World
from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput

PUBLISHED = "FastFlow's bandit"


@dataclass(frozen=True)
class Order:
    """What was asked for; raises InvalidInput where a fleet would run all its jobs in full, and so learn nothing."""

    fleets: Sequence[int]  # workers of each
    jobs: int  # of each fleet
    worlds: int
    steps: int
    evaluations: int
    delay: float
    seed: int

    def __post_init__(self) -> None:
        if self.evaluations >= self.steps:
            raise InvalidInput(
                f"{self.evaluations} of {self.steps} steps evaluated leave nothing to lose; ask for fewer"
            )
        if (most := max(self.fleets)) >= self.jobs:
            raise InvalidInput(
                f"{counted(most, 'worker')} would begin all of {counted(self.jobs, 'job')} before anything was learnt;"
                " give every fleet more jobs than workers"
            )


def simulate(order: Order, told: Callable[[], None]) -> list[Fleet]:
    """Every fleet of the learned plan, then FastFlow's bandit with as many workers as the smallest.

    The best plan in hindsight is the best over held-out videos of all that any fleet was served in that world: so a
    planned job's regret is never below 0, and a little too high; the bandit's, of its own videos and at no budget, may
    be. `told` is called after each run.
    """
    worlds = [World(order.steps, order.seed + number) for number in range(order.worlds)]

    def runs(workers: int, evaluations: int | None) -> list[list[Job]]:
        made = []
        for world in worlds:
            made.append(run(world, workers, order.jobs, evaluations, order.delay, order.evaluations))
            told()
        return made

    planned = [(workers, runs(workers, order.evaluations)) for workers in order.fleets]
    best = [world.best_db for world in worlds]
    fleets = [Fleet(counted(workers, "worker"), workers, made, best) for workers, made in planned]
    fewest = min(order.fleets)
    return [*fleets, Fleet(f"{PUBLISHED}, {counted(fewest, 'worker')}", fewest, runs(fewest, None), best)]
