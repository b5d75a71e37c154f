"""A worker with its queue, store and engine, and a meter that can be read."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

from one_worker import LEASE_S, Clock, WatchedEngine, WatchedQueue, WatchedStore

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue.limits import STALL_S
from workers.config import WorkerConfig
from workers.ending import Ending
from workers.worker import Worker


class Sums:
    """A meter that can be read."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []  # of jobs begun
        self.endings: list[Ending] = []
        self.load_s = self.busy_s = self.idle_s = self.waiting_s = 0.0
        self.switches = 0
        self.models: dict[str, list[str]] = defaultdict(list)  # figure → whose it was, each time

    def began(self, model: str, waited_s: float) -> None:
        self.models["began"].append(model)
        self.waits_s.append(waited_s)

    def ended(self, model: str, ending: Ending) -> None:
        self.models["ended"].append(model)
        self.endings.append(ending)

    def loaded(self, model: str, seconds: float) -> None:
        self.models["loaded"].append(model)
        self.load_s += seconds

    def switched(self, model: str) -> None:
        self.models["switched"].append(model)
        self.switches += 1

    def waited(self, model: str, seconds: float) -> None:
        self.models["waited"].append(model)
        self.waiting_s += seconds

    def was_busy(self, model: str, seconds: float) -> None:
        self.models["was_busy"].append(model)
        self.busy_s += seconds

    def was_idle(self, model: str, seconds: float) -> None:
        self.models["was_idle"].append(model)
        self.idle_s += seconds


class Shop:
    """A worker with its queue, store and engine; its loop runs in a thread."""

    def __init__(self, engine: Engine, folder: Path, stall_s: float = STALL_S) -> None:
        self.clock = Clock()
        self.queue = WatchedQueue(self.clock)
        self.engine = WatchedEngine(engine)
        self.loads: list[str] = []
        self.ledger = Ledger()
        self.sums = Sums()
        config = WorkerConfig("worker-1", ("small",), "redis://unused", "file:///unused", beat_s=0.01, stall_s=stall_s)
        self.store = WatchedStore(folder)
        self.worker = Worker(config, {"small": self.queue}, self.store, self.ledger, self.sums, self.load)
        self.let_through = threading.Event()
        self.thread = threading.Thread(target=self.worker.run)

    def load(self, model: str) -> Engine:
        self.loads.append(model)
        return self.engine

    def lose(self, job_id: str) -> None:
        """What a reaper does to a job whose worker was silent for long."""
        self.clock.now_s += 2 * LEASE_S
        (seen,) = [one for one in self.queue.expired() if one.job_id == job_id]
        assert self.queue.requeue(seen)
        assert self.queue.claim("worker-2", LEASE_S)

    def submit(self, **changes: object) -> str:
        fields = {"prompt": "a red circle", "model": "small", "width": 32, "height": 16, "frames": 5, "steps": 6,
                  "acceleration": "fastflow"}  # fmt: skip
        return self.queue.submit(VideoJob.model_validate(fields | changes)).job_id

    def attempts(self, job_ids: list[str]) -> list[tuple[JobState, int]]:
        """Where jobs are, and how many attempts have been counted."""
        records = [self.queue.get(job_id) for job_id in job_ids]
        return [(record.state, record.attempts) for record in records if record]

    def state(self, job_id: str) -> JobState:
        record = self.queue.get(job_id)
        assert record is not None
        return record.state
