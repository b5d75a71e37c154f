"""A worker of two models with their queues: the small model under two names, either of which may be broken."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from one_worker import Clock, WatchedEngine, WatchedStore
from shop import Sums

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.errors import FastFlowError, ModelLoadFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.models.loading import load_engine
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from workers.config import WorkerConfig
from workers.worker import Worker


def why_not(model: str) -> str:
    return f"no weights of {model}; fetch them"


class TwoQueues:
    """The small model under two names, and a worker of both that has not begun."""

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self.clock = Clock()
        self.queues = {name: MemoryQueue(name, QueueLimits(), self.clock) for name in ("a", "b")}
        self.loads: list[str] = []
        self.broken: set[str] = set()
        self.error: type[FastFlowError] = ModelLoadFailed
        self.engines: list[weakref.ref[object]] = []  # of every engine read
        self.alive: list[int] = []  # how many engines there were when one was read
        self.interfere: Callable[[StepReport, OnStep], object] = lambda report, on_step: None
        self.sums = Sums()
        self._checkpoint = checkpoint
        self._folder = folder
        self.worker = self.another_worker("w")

    def another_worker(self, name: str) -> Worker:
        config = WorkerConfig(name, ("a", "b"), "redis://unused", "file:///unused", beat_s=0.01)
        return Worker(config, self.queues, WatchedStore(self._folder), Ledger(), self.sums, self.load)

    @contextmanager
    def at_work(self) -> Iterator[Future[None]]:
        """Inside, the worker runs; what it raises is in the future."""
        with ThreadPoolExecutor(1) as one_thread:
            try:
                yield one_thread.submit(self.worker.run)
            finally:
                self.worker.drain()

    def load(self, model: str) -> object:
        self.loads.append(model)
        if model in self.broken:
            raise self.error(why_not(model))
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
