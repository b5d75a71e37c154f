"""A fleet without machines: every worker has a `FastFlow` of its own, and all report to one `Ledger`, late.

Time counts in jobs that only walk their plan: a job takes as long as the evaluations it makes, audits included. A job
begins with what the ledger had been told by then, and with the worker's own reports that are still on their way, as
the real worker's feed does it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bench.regret.world import World
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.plan_policy import PlanPolicy
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.plan import Plan

KEY = "regret"


@dataclass(frozen=True)
class Job:
    """One video of a simulated fleet."""

    began: float  # in jobs that only walk their plan, since the fleet began
    fidelity_db: float  # of the plan that it was served, over held-out videos; infinite for a full run
    evaluations: int  # made for whoever asked
    learning: int  # made beside them: the rest of a full run, and audits


class OpenFastFlow(FastFlow):
    """One that shows the plan it serves, before a watch adds to it."""

    plan: Plan  # of the latest call

    def _plan_policy(self, *call: Any, **more: Any) -> PlanPolicy:
        policy = super()._plan_policy(*call, **more)
        self.plan = policy.plan
        return policy


@dataclass
class Worker:
    """One of the fleet, and its reports under way."""

    name: str
    fastflow: OpenFastFlow = field(default_factory=OpenFastFlow)
    sent: int = 0
    under_way: dict[int, Statistics] = field(default_factory=dict)  # sequence → report

    def adopt(self, snapshot: Statistics) -> None:
        """Decide from what the fleet knows and what was reported but has not arrived."""
        for report in self.under_way.values():
            snapshot = snapshot.merge(report)
        self.fastflow.adopt(snapshot)

    def report(self) -> int:
        """Send what the latest job taught; answers the sequence."""
        self.sent += 1
        self.under_way[self.sent] = self.fastflow.take_delta()
        return self.sent


def run(world: World, workers: int, jobs: int, evaluations: int | None, delay: float, unit: int) -> list[Job]:
    """`jobs` jobs by `workers` that all begin at once and know nothing, in the order they began.

    Args:
        evaluations: of each job; None for FastFlow as published, which knows no budget.
        delay: how long after the end of its job a report arrives.
        unit: evaluations that take 1 of time.
    """
    fleet = [Worker(f"worker-{number}") for number in range(workers)]
    ledger, known, done = Ledger(), Statistics(), []
    free: list[tuple[float, int]] = [(0.0, number) for number in range(workers)]
    posted: list[tuple[float, int, int]] = []  # (arrival, worker, sequence)
    for number in range(jobs):
        now, who = heapq.heappop(free)
        if _arrive(ledger, fleet, posted, now):
            known = Statistics.from_json(ledger.snapshot())
        worker = fleet[who]
        worker.adopt(known)
        job = (
            _planned(world, worker, number, evaluations, now) if evaluations else _published(world, worker, number, now)
        )
        done.append(job)
        ended = now + (job.evaluations + job.learning) / unit
        heapq.heappush(posted, (ended + delay, who, worker.report()))
        heapq.heappush(free, (ended, who))
    return done


def _arrive(ledger: Ledger, fleet: Sequence[Worker], posted: list[tuple[float, int, int]], now: float) -> bool:
    """Merge every report that is due; whether there was one."""
    before = len(posted)
    while posted and posted[0][0] <= now:
        _, who, sequence = heapq.heappop(posted)
        ledger.merge(fleet[who].name, sequence, fleet[who].under_way.pop(sequence).to_json())
    return len(posted) < before


def _planned(world: World, worker: Worker, number: int, evaluations: int, now: float) -> Job:
    video = range(number, number + 1)
    _, trace = worker.fastflow.sample(
        world.network(video), world.noise(video), world.sigmas, KEY, evaluations=evaluations
    )
    asked = evaluations + len(trace.added)
    return Job(now, world.fidelity_db(worker.fastflow.plan), asked, trace.nfe - asked)


def _published(world: World, worker: Worker, number: int, now: float) -> Job:
    """Its bandits decide as they go: what it keeps is that of its own video."""
    video = range(number, number + 1)
    network, noise = world.network(video), world.noise(video)
    made, trace = worker.fastflow.sample(network, noise, world.sigmas, KEY)
    return Job(now, sample_psnr_db(made, euler(network, noise, world.sigmas)), trace.nfe, 0)
