"""One worker: loads its model once, then takes job after job until it has to leave. Knows no Ray."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.errors import QueueUnavailable, Retryable, StorageFailed
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.queue.worker_card import WorkerCard
from fastflow_ray.storage import Store, open_store
from fastflow_ray.storage.publication import Publisher
from workers.arm_feed import ArmFeed
from workers.checkpoints import sweep
from workers.config import WorkerConfig
from workers.meter import Meter
from workers.runner import Runner

log = logging.getLogger(__name__)

LOADING_S = 900.0  # a worker that loads says nothing for so long
WAIT_S = 1.0  # for a job, before looking whether to leave
LONGEST_BACKOFF_S = 5.0  # between two attempts to reach a queue, or a store, that is away


class WorkerState(StrEnum):
    """What a worker is doing."""

    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"  # takes no more jobs, and leaves


@dataclass(frozen=True)
class WorkerStatus:
    """A worker at one moment."""

    name: str
    model: str
    state: WorkerState
    job_id: str | None  # in hand
    busy_s: float  # with a job, since it began
    idle_s: float  # without one
    feed_failures: int  # attempts to reach the fleet's statistics in vain


def load_engine(model: str) -> Engine:
    """The real thing; torch and diffusers are imported only by whoever runs a model."""
    from fastflow_ray.models.loading import load_engine

    return load_engine(model)


class Worker:
    """A claim loop around a runner. `run` belongs to one thread; everything else may be called from any."""

    def __init__(
        self,
        config: WorkerConfig,
        queue: JobQueue,
        store: Store,
        sink: ObservationSink,
        meter: Meter,
        load: Callable[[str], Engine] = load_engine,
    ) -> None:
        self._config = config
        self._queue = queue
        self._store = store
        self._meter = meter
        self._load = load
        self._draining = threading.Event()
        self._feed = ArmFeed(sink, config.name)
        self._state = WorkerState.LOADING
        self._job_id: str | None = None
        self._busy_s = self._idle_s = 0.0

    def run(self, jobs: int | None = None) -> None:
        """Work until `drain` is called, or until `jobs` are done.

        Raises ModelLoadFailed, UnknownModel or StorageFailed if it cannot even begin.
        """
        try:
            runner = self._prepare()
            for _ in count() if jobs is None else range(jobs):
                claim = self._next_claim()
                if claim is None:
                    return
                with self._at_work(claim):
                    ending = runner.run(claim)
                if ending.reason == StorageFailed.code:
                    self._await_store()
        finally:
            self._state = WorkerState.DRAINING
            self._feed.close()
            with suppress(QueueUnavailable):
                self._queue.sign_off(self._config.name)
            self._queue.close()
            self._store.close()

    def drain(self) -> None:
        """Leave soon: take no more jobs, and give back the one in hand at its next step."""
        self._draining.set()

    def status(self) -> WorkerStatus:
        """What it is doing."""
        state = WorkerState.DRAINING if self._draining.is_set() else self._state
        return WorkerStatus(
            self._config.name, self._config.model, state, self._job_id, self._busy_s, self._idle_s, self._feed.failures
        )

    def _prepare(self) -> Runner:
        began_s = time.monotonic()
        log.info("-> worker %s loads %s", self._config.name, self._config.model)
        self._store.check()
        self._sign_in("loading", "", LOADING_S)
        engine = self._load(self._config.model)
        self._sign_in("idle", engine.versions.get("device", ""), self._config.lease_s)
        self._meter.loaded(time.monotonic() - began_s)
        log.info("<- worker %s has loaded %s@%s", self._config.name, engine.model, engine.revision)
        sweep(self._store, engine.model, self._queue)
        return Runner(
            self._queue,
            Publisher(self._store),
            engine,
            FastFlow(),
            self._feed,
            self._meter,
            self._draining,
            self._config.beat_s,
            self._config.stall_s,
        )

    def _sign_in(self, state: str, gpu: str, ttl_s: float) -> None:
        with suppress(QueueUnavailable):  # the card only tells people; the first claim lays one down too
            self._queue.sign_in(WorkerCard(self._config.name, gpu, state), ttl_s)

    def _next_claim(self) -> Claim | None:
        """Wait for a job; None: it is time to leave."""
        self._state = WorkerState.IDLE
        failures = 0
        while not self._draining.is_set():
            with self._waiting():
                try:
                    if claim := self._queue.claim(self._config.name, self._config.lease_s):
                        return claim
                    self._queue.wait(WAIT_S)
                    failures = 0
                except QueueUnavailable as error:
                    failures += 1
                    self._back_off(failures, error)
        return None

    def _await_store(self) -> None:
        """Take no job while the store keeps nothing: a full disk would send the whole queue to the dead letters."""
        failures = 0
        while not self._draining.is_set():
            with self._waiting():
                try:
                    return self._store.check()
                except StorageFailed as error:
                    failures += 1
                    self._back_off(failures, error)
        return None

    def _back_off(self, failures: int, error: Retryable) -> None:
        backoff_s = min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 6))
        log.warning("! worker %s looks again in %.1f s: %s", self._config.name, backoff_s, error)
        self._draining.wait(backoff_s)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        since_s = time.monotonic()
        yield
        self._idle_s += (seconds := time.monotonic() - since_s)
        self._meter.was_idle(seconds)

    @contextmanager
    def _at_work(self, claim: Claim) -> Iterator[None]:
        self._state, self._job_id, since_s = WorkerState.BUSY, claim.job_id, time.monotonic()
        yield
        self._busy_s += (seconds := time.monotonic() - since_s)
        self._meter.was_busy(seconds)
        self._state, self._job_id = WorkerState.IDLE, None


def open_worker(config: WorkerConfig, sink: ObservationSink, meter: Meter) -> Worker:
    """A worker on the queue and the store its config names; raises InvalidInput for malformed URLs."""
    return Worker(config, open_queue(config.redis_url, config.model), open_store(config.store_url), sink, meter)
