"""What it costs to merge a fleet's reports of what was learnt, and to answer them; without Ray. Tells nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

import torch

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.queue.statistics_store import StatisticsStore
from fastflow_ray.sampling.grid import flow_sigmas
from orchestration.arm_statistics import FleetStatistics
from orchestration.statistics_by_model import StatisticsByModel

STEPS, EVALUATIONS = 50, 19  # of the jobs that are reported
READ = 5  # answers that a worker reads, of which the median counts


@dataclass(frozen=True)
class Reports:
    """Reports of a job each, every one from another worker, into the statistics of so many models and policy keys."""

    models: int
    keys: int  # of each model
    reports: int
    merge_ms: float  # processor time of the statistics' process for one of them, mean
    newcomer_ms: float  # the same for the question of a worker that has just begun
    read_ms: float  # processor time of a worker for one answer, median
    report_bytes: int
    answer_bytes: int

    @property
    def per_s(self) -> float:
        """That one core takes in."""
        return 1000 / self.merge_ms


def taught(jobs: int) -> TrajectoryTable:
    """What so many jobs of a smooth field leave under one policy key."""
    fastflow = FastFlow()
    for job in range(jobs):
        noise = torch.randn(1, 1024, generator=torch.Generator().manual_seed(job))
        fastflow.sample(
            lambda x, sigma: torch.sin(x + 3 * sigma), noise, flow_sigmas(STEPS, 3.0), "key", evaluations=EVALUATIONS
        )
    return fastflow.statistics.trajectories["key"]


def measure_reports(url: str, known: TrajectoryTable, job: TrajectoryTable, shape: tuple[int, int, int]) -> Reports:
    """`shape`: models, keys of each, reports. Every key begins with what is `known`, every report is of one `job`."""
    models, keys, reports = shape
    names = [f"reports-{model}-of-{models}x{keys}" for model in range(models)]
    policy_keys = [f"{name}@1:key{key}" for key in range(keys) for name in names]
    told = [Statistics(trajectories={key: job}).to_json() for key in policy_keys]
    with _statistics(url, names) as statistics:
        statistics.merge("first", 0, Statistics(trajectories=dict.fromkeys(policy_keys, known)).to_json())
        began = time.process_time()
        for worker, delta in enumerate(islice(cycle(told), reports)):
            answer = statistics.merge(f"worker-{worker}", 0, delta)
        merged = time.process_time()
        for _ in range(reports):
            statistics.snapshot()
        asked = time.process_time()
    return Reports(
        models,
        keys,
        reports,
        merge_ms=1000 * (merged - began) / reports,
        newcomer_ms=1000 * (asked - merged) / reports,
        read_ms=1000 * median(_seconds_to_read(answer) for _ in range(READ)),
        report_bytes=len(told[0]),
        answer_bytes=len(answer),
    )


@contextmanager
def _statistics(url: str, models: Sequence[str]) -> Iterator[StatisticsByModel]:
    with ExitStack() as stack:
        stores = {model: stack.enter_context(closing(StatisticsStore(url, model))) for model in models}
        yield StatisticsByModel({model: FleetStatistics(store) for model, store in stores.items()})


def _seconds_to_read(answer: str) -> float:
    began = time.process_time()
    Statistics.from_json(answer)
    return time.process_time() - began
