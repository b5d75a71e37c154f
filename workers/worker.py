"""One worker: loads a model, then takes job after job of the queues it serves until it has to leave. Knows no Ray."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.errors import DeviceLost, QueueUnavailable, Retryable, StorageFailed
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
from workers.ending import Ending
from workers.lane import Lane, PublishingLane
from workers.meter import Meter
from workers.rota import Rota
from workers.runner import Runner
from workers.stand import Stand
from workers.timesheet import Timesheet

log = logging.getLogger(__name__)

LOADING_S = 900.0  # a worker that loads says nothing for so long
WAIT_S = 1.0  # for a job, before looking whether to leave
LONGEST_BACKOFF_S = 5.0  # between two attempts to reach a queue, or a store, that is away


class WorkerState(StrEnum):
    """What a worker is doing."""

    LOADING = "loading"
    IDLE = "idle"
    BUSY = "busy"  # makes a video, or publishes one
    DRAINING = "draining"  # takes no more jobs, and leaves


@dataclass(frozen=True)
class WorkerStatus:
    """A worker at one moment."""

    name: str
    model: str  # the one it holds
    state: WorkerState
    job_id: str | None  # whose video it makes
    publishing: str | None  # the job whose video it publishes meanwhile
    busy_s: float  # in which the device made videos, since the first model was loaded
    idle_s: float  # in which it did not
    switches: int  # jobs that wanted another model than the one loaded
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
        queues: Mapping[str, JobQueue],
        store: Store,
        sink: ObservationSink,
        meter: Meter,
        load: Callable[[str], Engine] = load_engine,
        lane: Lane | None = None,
    ) -> None:
        """`queues` by model; the first one's model is loaded first."""
        self._config = config
        self._queues = dict(queues)
        self._rota = Rota(queues)
        self._store = store
        self._meter = meter
        self._stand = Stand(config.name, load, meter)
        self._lane = lane or PublishingLane()
        self._timesheet = Timesheet(meter)
        self._draining = threading.Event()
        self._store_failed = threading.Event()
        self._feed = ArmFeed(sink, config.name)
        self._state = WorkerState.LOADING
        self._making: Claim | None = None  # the one that has the device
        self._hands: dict[Claim, None] = {}  # all that are under way

    def run(self, jobs: int | None = None) -> None:
        """Work until `drain` is called, or until `jobs` are done.

        Raises ModelLoadFailed, UnknownModel or StorageFailed if it cannot even begin, DeviceLost if it cannot go on.
        """
        try:
            runner = self._prepare()
            for _ in count() if jobs is None else range(jobs):
                found = self._next_claim()
                if found is None:
                    return
                ending = self._run(runner, *found)
                if ending and ending.reason == DeviceLost.code:
                    raise DeviceLost(ending.message)
        finally:
            self._leave()

    def drain(self) -> None:
        """Leave soon: take no more jobs, give back the one in hand at its next step, publish what is made."""
        self._draining.set()

    def status(self) -> WorkerStatus:
        """What it is doing."""
        making, hands = self._making, list(self._hands)
        publishing = next((claim.job_id for claim in hands if claim is not making), None)
        return WorkerStatus(
            name=self._config.name,
            model=self._rota.held,
            state=self._state_with(publishing),
            job_id=making.job_id if making else None,
            publishing=publishing,
            busy_s=self._timesheet.busy_s,
            idle_s=self._timesheet.idle_s,
            switches=self._rota.switches,
            feed_failures=self._feed.failures,
        )

    def _state_with(self, publishing: str | None) -> WorkerState:
        if self._draining.is_set():
            return WorkerState.DRAINING
        return WorkerState.BUSY if self._state is WorkerState.IDLE and publishing else self._state

    def _prepare(self) -> Runner:
        self._store.check()
        self._sign_in("loading", LOADING_S)
        engine = self._stand.engine(self._rota.held, on_step=lambda report: None)
        self._sign_in("idle", self._config.lease_s, engine.versions.get("device", ""))
        for model, queue in self._queues.items():
            sweep(self._store, model, queue)
        self._timesheet = Timesheet(self._meter)
        self._state = WorkerState.IDLE
        return Runner(
            Publisher(self._store),
            self._stand,
            self._lane,
            FastFlow(),
            self._feed,
            self._meter,
            self._timesheet,
            self._draining,
            self._config.beat_s,
            self._config.stall_s,
            on_end=self._ended,
        )

    def _leave(self) -> None:
        self._state = WorkerState.DRAINING
        with ExitStack() as leaving:
            leaving.callback(self._store.close)
            for queue in self._queues.values():
                leaving.callback(queue.close)
                leaving.callback(self._sign_off, queue)
            leaving.callback(self._feed.close)
            leaving.callback(self._lane.close)  # the last comes first: publishing still needs all the others

    def _sign_in(self, state: str, ttl_s: float, device: str = "") -> None:
        for queue in self._queues.values():
            with suppress(QueueUnavailable):  # the card only tells people; the first claim lays one down too
                queue.sign_in(WorkerCard(self._config.name, device, state), ttl_s)

    def _sign_off(self, queue: JobQueue) -> None:
        with suppress(QueueUnavailable):
            queue.sign_off(self._config.name)

    def _run(self, runner: Runner, queue: JobQueue, claim: Claim) -> Ending | None:
        self._hands[claim], self._making, self._state = None, claim, WorkerState.BUSY
        ending = runner.run(queue, claim)
        self._making, self._state = None, WorkerState.IDLE
        return ending

    def _ended(self, claim: Claim, ending: Ending) -> None:
        del self._hands[claim]
        if ending.reason == StorageFailed.code:
            self._store_failed.set()

    def _next_claim(self) -> tuple[JobQueue, Claim] | None:
        """Wait for a job, and tell whose queue it is from; None: it is time to leave."""
        failures = 0
        while not self._draining.is_set():
            if self._store_failed.is_set():
                self._await_store()
                continue
            try:
                if found := self._claim():
                    return found
                self._wait_for_a_job()
                failures = 0
            except QueueUnavailable as error:
                failures += 1
                self._back_off(failures, error)
        return None

    def _claim(self) -> tuple[JobQueue, Claim] | None:
        for queue in self._rota.queues():
            if claim := queue.claim(self._config.name, self._config.lease_s):
                if self._rota.took(queue.name):
                    self._meter.switched()
                return queue, claim
        return None

    def _wait_for_a_job(self) -> None:
        with self._waiting():
            for queue in self._queues.values():
                queue.wait(WAIT_S / len(self._queues))

    def _await_store(self) -> None:
        """Take no job while the store keeps nothing: a full disk would send the whole queue to the dead letters."""
        failures = 0
        while not self._draining.is_set():
            try:
                self._store.check()
                return self._store_failed.clear()
            except StorageFailed as error:
                failures += 1
                self._back_off(failures, error)
        return None

    def _back_off(self, failures: int, error: Retryable) -> None:
        backoff_s = min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 6))
        log.warning("! worker %s looks again in %.1f s: %s", self._config.name, backoff_s, error)
        with self._waiting():
            self._draining.wait(backoff_s)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        since_s = time.monotonic()
        try:
            yield
        finally:
            self._meter.waited(time.monotonic() - since_s)
            self._timesheet.count_idle()


def open_worker(config: WorkerConfig, sink: ObservationSink, meter: Meter) -> Worker:
    """A worker on the queues and the store its config names; raises InvalidInput for malformed URLs."""
    queues = {model: open_queue(config.redis_url, model) for model in config.models}
    return Worker(config, queues, open_store(config.store_url), sink, meter)
