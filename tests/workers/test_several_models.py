"""A worker of two models: one on the device at a time, each job by its own, and changes counted."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from one_worker import LEASE_S, Clock, WatchedEngine, WatchedStore
from shop import Sums
from waiting import wait_for

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.errors import ModelLoadFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.models.loading import load_engine
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from workers.config import WorkerConfig
from workers.worker import Worker


class TwoQueues:
    """The small model under two names, and a worker of both that has not begun."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self.clock = Clock()
        self.queues = {name: MemoryQueue(name, QueueLimits(), self.clock) for name in ("a", "b")}
        self.loads: list[str] = []
        self.broken: set[str] = set()
        self.engines: list[weakref.ref[object]] = []  # of every engine read
        self.alive: list[int] = []  # how many engines there were when one was read
        self.interfere: Callable[[StepReport, OnStep], object] = lambda report, on_step: None
        self.sums = Sums()
        self._checkpoint = checkpoint
        config = WorkerConfig("w", ("a", "b"), "redis://unused", "file:///unused", beat_s=0.01)
        self.worker = Worker(config, self.queues, WatchedStore(folder), Ledger(), self.sums, self.load)

    def load(self, model: str) -> object:
        self.loads.append(model)
        if model in self.broken:
            raise ModelLoadFailed("no weights; fetch them")
        self.alive.append(sum(engine() is not None for engine in self.engines))
        engine = load_engine(str(self._checkpoint), device="cpu")
        engine.model = model
        self.engines.append(weakref.ref(engine))
        watched = WatchedEngine(engine)
        watched.interfere = lambda report, on_step: self.interfere(report, on_step)
        return watched

    def submit(self, model: str, seed: int) -> str:
        fields = {"prompt": "a red circle", "model": model, "width": 32, "height": 16, "frames": 5, "steps": 4}
        return self.queues[model].submit(VideoJob.model_validate(fields | {"seed": seed})).job_id

    def state(self, model: str, job_id: str) -> JobState:
        record = self.queues[model].get(job_id)
        assert record is not None
        return record.state


@pytest.fixture
def two(small_checkpoint: Path, tmp_path: Path) -> TwoQueues:
    return TwoQueues(small_checkpoint, tmp_path / "store")


def test_it_stays_with_its_model_and_then_changes_once(two: TwoQueues) -> None:
    jobs = [(model, two.submit(model, seed)) for seed in range(2) for model in ("b", "a")]
    two.clock.now_s += 1.0
    two.worker.run(jobs=4)
    assert [two.state(*job) for job in jobs] == [JobState.SUCCEEDED] * 4
    assert two.loads == ["a", "b"]
    assert two.alive == [0, 0], "the one before was gone when the next was read"
    assert (two.worker.status().model, two.worker.status().switches, two.sums.switches) == ("b", 1, 1)
    for model, job_id in jobs:
        record = two.queues[model].get(job_id)
        assert record is not None
        assert record.result is not None
        assert record.result["model"] == model


def test_a_model_that_cannot_be_read_costs_its_job_an_attempt_and_no_other_job(two: TwoQueues) -> None:
    two.broken.add("b")
    lost, kept = two.submit("b", 1), two.submit("a", 1)
    two.clock.now_s += 1.0
    two.worker.run(jobs=2)
    assert two.state("a", kept) is JobState.SUCCEEDED
    assert two.state("b", lost) is JobState.DELAYED
    assert [ending.reason for ending in two.sums.endings if ending.reason] == ["model_load"]


def test_its_card_lies_on_both_queues_all_through_a_long_job(two: TwoQueues) -> None:
    job_id = two.submit("a", 1)
    heard: list[str] = []

    def go_on_for_three_leases(report: StepReport, on_step: OnStep) -> None:
        if report.step == 2 and report.phase == "sample":
            for _ in range(6):
                two.clock.now_s += LEASE_S / 2
                (card,) = wait_for(lambda: [card for card in two.queues["b"].workers() if not card.silent_s])
                heard.append(f"{card.worker} {card.state} {card.job_id}")

    two.interfere = go_on_for_three_leases
    two.worker.run(jobs=1)
    assert heard == [f"w busy {job_id}"] * 6
    assert [queue.workers() for queue in two.queues.values()] == [[], []]
