"""Books of plans to be asked: of what one full run taught, and of that with audits."""

from __future__ import annotations

from functools import cache

import numpy as np

from fastflow_ray.bandit.audits import boldness_of
from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.sampling.grid import flow_sigmas

FIRST = CANDIDATES[0]


@cache
def known(steps: int, runs: int = 1) -> TrajectoryTable:
    """What so many full runs teach that are all alike; to be copied before it is changed."""
    rng, t = np.random.default_rng(steps), np.linspace(0, 1, steps)[:, None]
    v = sum(rng.normal(size=80) / k * np.sin(k * t + rng.uniform(0, 6, 80)) for k in range(1, 7))
    table = TrajectoryTable.empty(steps, "g")
    for _ in range(runs):
        table.add_run(v @ v.T / 80)
    return table


def book(steps: int, restarts: tuple[int, ...] = (), table: TrajectoryTable | None = None) -> PlanBook:
    return PlanBook(table or known(steps), flow_sigmas(steps, 3.0).double().numpy(), restarts)


def audited(steps: int, audits: dict[tuple[str, int], list[float]]) -> TrajectoryTable:
    """The same with audits of so many dB, by candidate and evaluations."""
    table = TrajectoryTable.empty(steps, "g").merge(known(steps), "k")
    for (name, evaluations), measured in audits.items():
        for db in measured:
            table.audits.note(name, boldness_of(steps, evaluations), db)
    return table
