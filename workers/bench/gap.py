"""How long a device is idle between two videos of a worker that has always a next job.

`idle_s` is from the moment one video is decoded to the moment the next one's text is about to be encoded: the time in
which the device has nothing to do. Decoding and text encoding run on the device, so they are its work and are told
apart: `between_steps_s`, from the last step of one video to where the first step of the next begins, contains them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.queue import open_queue
from fastflow_ray.storage import open_store
from workers.config import WorkerConfig
from workers.meter import NoMeter
from workers.publishing_thread import PublishingExecutor
from workers.worker import Worker


@dataclass(frozen=True)
class Gap:
    """Between two videos, in seconds."""

    decode_s: float  # of the one before
    idle_s: float
    text_encode_s: float  # of the one after

    @property
    def between_steps_s(self) -> float:
        """From the last step before to the first one after."""
        return self.decode_s + self.idle_s + self.text_encode_s


class TimedEngine:
    """An engine that notes when it began to sample, to decode, and was done."""

    def __init__(self, engine: Engine) -> None:
        self.model, self.card = engine.model, engine.card
        self.revision, self.versions = engine.revision, engine.versions
        self.days: list[dict[str, float]] = []  # one per video: when each phase began, and "end"
        self._engine = engine

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        """As the engine."""
        day: dict[str, float] = {}
        self.days.append(day)

        def noted(report: StepReport) -> None:
            day.setdefault(report.phase, time.perf_counter())
            on_step(report)

        made = self._engine.generate(spec, fastflow, noted, resume)
        day["end"] = time.perf_counter()
        return made

    def free(self) -> None:
        """As the engine."""
        self._engine.free()

    def gaps(self) -> list[Gap]:
        """Between each two videos that followed each other."""
        return [
            Gap(
                decode_s=before["end"] - before["decode"],
                idle_s=after["text_encode"] - before["end"],
                text_encode_s=after["sample"] - after["text_encode"],
            )
            for before, after in pairwise(self.days)
        ]


def measure(
    engine: Engine, executor: PublishingExecutor, jobs: int, steps: int, redis_url: str, folder: Path
) -> list[Gap]:
    """The gaps of a worker that makes so many videos of so many steps, all of them queued before it begins."""
    queue, timed = open_queue(redis_url, engine.model), TimedEngine(engine)
    for seed in range(jobs):
        wish = {"prompt": "a small red circle moving left on a navy background", "model": engine.model}
        queue.submit(VideoJob.model_validate(wish | {"steps": steps, "seed": seed, "acceleration": "off"}))
    config = WorkerConfig("bench", (engine.model,), redis_url, folder.as_uri())
    store = open_store(config.store_url)
    Worker(config, {engine.model: queue}, store, Ledger(), NoMeter(), lambda model: timed, executor).run(jobs)
    return timed.gaps()


def summary(gaps: Sequence[Gap], job_s: float) -> dict[str, float]:
    """The figures of a report; `job_s` is the length of the job that the idle time is a share of."""
    idle_s = [gap.idle_s for gap in gaps]
    return {
        "gaps": len(gaps),
        "idle_s": median(idle_s),
        "longest_idle_s": max(idle_s),
        "share_of_job": median(idle_s) / job_s,
        "decode_s": median(gap.decode_s for gap in gaps),
        "text_encode_s": median(gap.text_encode_s for gap in gaps),
        "between_steps_s": median(gap.between_steps_s for gap in gaps),
    }
