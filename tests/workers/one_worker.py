"""A worker's parts put together by hand, and the places where a test may interfere with a running job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.queue.contract import Claim, JobRecord, Progress, Verdict
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.publication import Manifest, Publisher
from workers.arm_feed import ArmFeed
from workers.ending import Ending
from workers.lease_keeper import LeaseKeeper
from workers.meter import NoMeter
from workers.publishing_thread import PublishingThread
from workers.runner import Runner
from workers.stand import Stand
from workers.store_watch import StoreWatch
from workers.timesheet import Timesheet

LEASE_S = 60.0
STEPS = 12


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s


class WatchedQueue(MemoryQueue):
    """A queue that remembers the beats, and can be out of reach."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__("small", QueueLimits(), clock)
        self.beats: list[Progress | None] = []
        self.beaten: list[str] = []  # for which jobs
        self.unreachable = 0  # so many calls of a worker fail
        self.unheard = 0  # so many claims are made, and their answers get lost
        self.unreleased = 0  # so many times a job cannot be given back

    def _reach(self) -> None:
        if self.unreachable > 0:
            self.unreachable -= 1
            raise QueueUnavailable("the cable is out; put it back")

    def claim(self, worker: str, lease_s: float, nonce: str = "") -> Claim | None:
        self._reach()
        claim = super().claim(worker, lease_s, nonce)
        if self.unheard > 0:
            self.unheard -= 1
            raise QueueUnavailable("the answer got lost; ask again")
        return claim

    def heartbeat(self, claim: Claim, progress: Progress | None = None) -> Verdict:
        self._reach()
        self.beats.append(progress)
        self.beaten.append(claim.job_id)
        return super().heartbeat(claim, progress)

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        self._reach()
        return super().complete(claim, result)

    def release(self, claim: Claim) -> bool:
        if self.unreleased > 0:
            self.unreleased -= 1
            raise QueueUnavailable("the cable is out; put it back")
        return super().release(claim)


class WatchedStore(FolderStore):
    """A folder where something may happen right after a manifest was put."""

    after_manifest: Callable[[], object] = staticmethod(lambda: None)

    def put_if_absent(self, key: str, data: bytes, content_type: str) -> bool:
        put = super().put_if_absent(key, data, content_type)
        self.after_manifest()
        return put


class WatchedEngine:
    """An engine whose reports pass a test before they reach the worker."""

    def __init__(self, engine: Engine) -> None:
        self.model, self.card = engine.model, engine.card
        self.revision, self.versions = engine.revision, engine.versions
        self._engine = engine
        self.specs: list[GenerationSpec] = []
        self.reports: list[StepReport] = []
        self.frees = 0
        self.interfere: Callable[[StepReport, OnStep], object] = lambda report, on_step: None
        self.annotate: Callable[[Generation], object] = lambda made: None

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        def watched(report: StepReport) -> None:
            self.reports.append(report)
            self.interfere(report, on_step)
            on_step(report)

        self.specs.append(spec)
        made = self._engine.generate(spec, fastflow, watched, resume)
        self.annotate(made)
        return made

    def free(self) -> None:
        self.frees += 1
        self._engine.free()


class FollowedRunner:
    """A runner with a publishing thread, whose attempts are followed to their end."""

    def __init__(
        self, queue: WatchedQueue, store: WatchedStore, engine: WatchedEngine, feed: ArmFeed, draining: threading.Event
    ) -> None:
        self.fastflow = FastFlow()
        self.executor = PublishingThread()
        self.watch = StoreWatch(store, "worker")
        self._queue = queue
        self._endings: list[tuple[Claim, Ending]] = []
        meter = NoMeter()
        self.runner = Runner(
            Publisher(store), self.watch, Stand("worker", lambda model: engine, meter), self.executor, self.fastflow,
            feed, meter, Timesheet(meter), draining, beat_s=0.01, stall_s=300.0,
            on_end=lambda claim, ending: self._endings.append((claim, ending)), on_beat=lambda: None,
        )  # fmt: skip

    def run(self, claim: Claim) -> Ending:
        """One attempt, to its end in the publishing thread or before."""
        self.runner.run(self._queue, claim)
        return wait_for(lambda: next((ending for ended, ending in self._endings if ended == claim), None))


class OneWorker:
    """A runner with everything around it inside this process."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.clock = Clock()
        self.queue = WatchedQueue(self.clock)
        self.store = WatchedStore(folder)
        self.engine = WatchedEngine(engine)
        self.ledger = Ledger()
        self.feed = ArmFeed(self.ledger, "worker-1")
        self.draining = threading.Event()
        self.followed = FollowedRunner(self.queue, self.store, self.engine, self.feed, self.draining)
        self.runner, self.executor = self.followed.runner, self.followed.executor

    def submit(self, idempotency_key: str | None = None, **changes: Any) -> str:
        """Ask for a tiny video; its id."""
        fields = {"prompt": "a red circle", "model": "small", "width": 32, "height": 16, "frames": 5, "fps": 8}
        numbers = {"steps": STEPS, "guidance": 3.0, "shift": 3.0, "seed": 7, "acceleration": "fastflow"}
        return self.queue.submit(VideoJob.model_validate(fields | numbers | changes), idempotency_key).job_id

    def claim(self, worker: str = "worker-1", lease_s: float = LEASE_S) -> Claim:
        claim = self.queue.claim(worker, lease_s)
        assert claim is not None
        return claim

    def run(self, claim: Claim | None = None) -> Ending:
        """One attempt, to its end in the publishing thread or before."""
        return self.followed.run(claim or self.claim())

    def record(self, job_id: str) -> JobRecord:
        record = self.queue.get(job_id)
        assert record is not None
        return record

    def manifest(self, job_id: str) -> Manifest:
        """What was published."""
        manifest = Publisher(self.store).find(job_id)
        assert manifest is not None
        return manifest

    def objects(self) -> list[str]:
        return sorted(self.store.list(""))

    def lose_the_lease(self) -> Claim:
        """What a reaper does to a worker that was silent for long, and what the next worker then gets."""
        self.clock.now_s += 2 * LEASE_S
        (seen,) = self.queue.expired()
        assert self.queue.requeue(seen)
        return self.claim("worker-2")


def at(phase: str, step: int, act: Callable[[], object]) -> Callable[[StepReport, OnStep], None]:
    """Act once at a step, then go on reporting it until the worker has heard of it and stops."""

    def interfere(report: StepReport, on_step: OnStep) -> None:
        if (report.phase, report.step) == (phase, step):
            act()
            wait_for(lambda: on_step(report))

    return interfere


def overheard(monkeypatch: pytest.MonkeyPatch) -> list[StepReport]:
    """Every step that whoever holds a lease hears of from now on."""
    on_step, heard = LeaseKeeper.on_step, list[StepReport]()

    def hear(lease: LeaseKeeper, report: StepReport) -> None:
        heard.append(report)
        on_step(lease, report)

    monkeypatch.setattr(LeaseKeeper, "on_step", hear)
    return heard
