"""A worker on a GPU with a queue in memory and a store in a folder, and one place to interfere with its steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.manifest import Manifest
from fastflow_ray.storage.publication import Publisher
from workers.config import WorkerConfig
from workers.meter import NoMeter
from workers.worker import Worker

PROMPT = "a small red circle moving left on a navy background"
MIB = 2**20


class CudaShop:
    """Every `run` is a new worker on the one engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.model, self.card = engine.model, engine.card
        self.revision, self.versions = engine.revision, engine.versions
        self.queue = MemoryQueue("shapes", QueueLimits())
        self.store = FolderStore(folder)
        self.interfere: Callable[[StepReport, OnStep], object] = lambda report, on_step: None
        self._engine = engine

    def submit(self, **changes: object) -> str:
        """Ask for a clip of the embedded model's own size in a dozen steps; its id."""
        fields = {"prompt": PROMPT, "model": "shapes", "steps": 12, "seed": 7, "acceleration": "off"}
        return self.queue.submit(VideoJob.model_validate(fields | changes)).job_id

    def run(self, job_id: str) -> JobRecord:
        """Let a worker take one job; how that ended."""
        config = WorkerConfig("worker-1", ("shapes",), "redis://unused", "file:///unused", beat_s=0.01)
        Worker(config, {"shapes": self.queue}, self.store, Ledger(), NoMeter(), load=lambda model: self).run(jobs=1)
        record = self.queue.get(job_id)
        assert record is not None
        return record

    def manifest(self, job_id: str) -> Manifest:
        """What was published."""
        manifest = Publisher(self.store).find(job_id)
        assert manifest is not None
        return manifest

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        """As the engine, with a test between its steps and the worker."""

        def watched(report: StepReport) -> None:
            self.interfere(report, on_step)
            on_step(report)

        return self._engine.generate(spec, fastflow, watched, resume)

    def free(self) -> None:
        """As the engine."""
        self._engine.free()

    def cancel_at(self, step: int, job_id: str) -> None:
        """Let the user cancel at this step, and the worker hear of it before the next."""

        def interfere(report: StepReport, on_step: OnStep) -> None:
            if (report.phase, report.step) == ("sample", step):
                self.queue.cancel(job_id)
                while True:  # until it raises
                    on_step(report)
                    time.sleep(0.01)

        self.interfere = interfere


@contextmanager
def at_most(allocated: float) -> Iterator[None]:
    """Let this process have so many bytes of the device, and no more."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(allocated / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
