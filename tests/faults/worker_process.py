"""One real worker in a process of its own, with a trivial engine, a history, and if wanted a place to die at."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deadly_places import BlindStore, DeadlyQueue, DeadlyStore, Deaths
from forks import end_with_the_test
from history import History
from mutants import mistake
from recorded_queue import RecordedQueue
from trivial_engine import CARD, TrivialEngine

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.queue import open_queue
from fastflow_ray.storage import open_store
from fastflow_ray.storage.publication import Publisher
from workers.config import WorkerConfig
from workers.meter import NoMeter
from workers.publishing_thread import PublishingThread, SameThread
from workers.worker import Worker

MODEL = CARD.name


@dataclass(frozen=True)
class WorkPlan:
    """What workers are told; values that travel to their processes."""

    redis_url: str
    store_url: str
    histories: Path  # the folder
    lease_s: float = 1.0
    beat_s: float = 0.2
    stall_s: float = 300.0
    step_s: float = 0.02
    limits: Mapping[str, Any] = field(default_factory=dict)  # of the queue
    overlap: bool = True  # publishes one video while it makes the next
    looks_first: bool = True  # for the manifest of an earlier attempt
    verifies: bool = True  # what it uploaded
    mistake: tuple[str, str] | None = None  # a line of mutants.py, and the script it is in
    environment: Mapping[str, str] = field(default_factory=dict)


def work(plan: WorkPlan, name: str) -> None:
    """Until killed."""
    end_with_the_test()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test, which ends us
    os.environ.update(plan.environment)
    tempfile.tempdir = str(plan.histories)  # where what the killed leave behind goes with the test
    if not plan.verifies:
        Publisher._verify = lambda self, *stored: None  # type: ignore[method-assign]
    history = History(plan.histories, name)
    deaths = Deaths()

    def watch(spec: GenerationSpec, step: int) -> None:
        if step == 0:
            history.note("compute", seed=spec.seed)
        deaths.at_step(spec, step)

    store = open_store(plan.store_url)
    worker = Worker(
        WorkerConfig(name, (MODEL,), plan.redis_url, plan.store_url, plan.lease_s, plan.beat_s, plan.stall_s),
        {MODEL: RecordedQueue(DeadlyQueue(open_queue(plan.redis_url, MODEL, **plan.limits), deaths), history)},
        DeadlyStore(store if plan.looks_first else BlindStore(store), deaths),
        Ledger(),
        NoMeter(),
        lambda model: TrivialEngine(plan.step_s, watch),
        PublishingThread() if plan.overlap else SameThread(),
    )
    with mistake(*plan.mistake) if plan.mistake else nullcontext():
        worker.run()
