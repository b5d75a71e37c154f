"""The fleet's statistics are killed, and Redis under them: what was acknowledged is kept, and nothing counts twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hands import threads
from server_faults import kill_and_start
from stage import Stage
from statistics_process import StatisticsProcess

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.queue.embedded import EmbeddedValkey
from workers.arm_feed import ArmFeed

WORKERS, STEPS, ARMS = 4, 8, (0, 2, 4)


@pytest.fixture
def sink(own_server: EmbeddedValkey, tmp_path: Path) -> Iterator[StatisticsProcess]:
    process = StatisticsProcess(own_server.url, "trivial", tmp_path)
    yield process
    process.kill()


def learnt(rng: np.random.Generator) -> Statistics:
    """What one job may have taught; errors are multiples of 1/64, which add up without rounding in any order."""
    table = ArmTable.empty(steps=STEPS, arms=ARMS, grid="grid")
    for step in range(STEPS):
        table.update(step, int(rng.choice(ARMS)), float(rng.integers(64)) / 64)
    table.runs = 1
    return Statistics({f"key-{rng.integers(3)}": table})


def learn_under_fire(stage: Stage, server: EmbeddedValkey, sink: StatisticsProcess, kills: int) -> list[Statistics]:
    """Workers give what they learn to their feeds while the statistics, and every third time Redis too, are killed."""
    given: list[Statistics] = []

    def work(number: int, leave: threading.Event) -> None:
        rng = np.random.default_rng([stage.seed, number])
        feed = ArmFeed(sink, f"worker-{number}", retry_s=0.05)
        while not leave.wait(0.02):
            feed.give(delta := learnt(rng))
            given.append(delta)
        assert feed.close(patience_s=60.0), "all of it was acknowledged"

    with threads(WORKERS, work):
        for number in range(kills):
            time.sleep(stage.rng.uniform(0.2, 0.5))
            sink.kill_and_start()
            if number % 3 == 2:
                kill_and_start(server)
        time.sleep(0.5)
    stage.figures |= {"struck": {"statistics SIGKILL": kills, "server SIGKILL": kills // 3}, "jobs": len(given)}
    return given


def sum_of(given: list[Statistics]) -> str:
    total = Statistics()
    for delta in given:
        total = total.merge(delta)
    return total.to_json()


def test_no_observation_is_lost_and_none_counts_twice(
    stage: Stage, own_server: EmbeddedValkey, sink: StatisticsProcess
) -> None:
    given = learn_under_fire(stage, own_server, sink, kills=6)
    assert sink.snapshot() == sum_of(given)


@pytest.mark.fault
def test_sixty_kills_of_the_statistics(stage: Stage, own_server: EmbeddedValkey, sink: StatisticsProcess) -> None:
    given = learn_under_fire(stage, own_server, sink, kills=60)
    assert sink.snapshot() == sum_of(given)


@pytest.mark.fault
def test_control_reports_that_bear_no_number_count_twice(
    stage: Stage, own_server: EmbeddedValkey, sink: StatisticsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(10**9))
    merge = sink.merge
    monkeypatch.setattr(sink, "merge", lambda worker, sequence, delta: merge(worker, next(numbers), delta))
    given = learn_under_fire(stage, own_server, sink, kills=60)
    assert Statistics.from_json(sink.snapshot()).to_json() != sum_of(given)
