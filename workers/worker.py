"""One worker: loads a model, then takes job after job of the queues it serves until it has to leave. Knows no Ray."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir

from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.errors import DeviceLost, FastFlowError, ModelLoadFailed
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.queue.worker_card import RESTING, WorkerCard
from fastflow_ray.storage import Store, open_store
from fastflow_ray.storage.publication import Publisher
from workers.arm_feed import ArmFeed
from workers.card_keeper import CardKeeper
from workers.checkpoints import sweep
from workers.config import WorkerConfig
from workers.ending import Ending
from workers.intake import Intake
from workers.lease_keeper import LOADING_S
from workers.meter import Meter
from workers.publishing_thread import PublishingExecutor, PublishingThread
from workers.rota import Rota
from workers.runner import Runner
from workers.scratch_folder import sweep_scratch
from workers.stand import Stand
from workers.status import WorkerState, WorkerStatus
from workers.store_watch import StoreWatch
from workers.timesheet import Timesheet

log = logging.getLogger(__name__)

Load = Callable[[str | ModelCard], Engine]  # reads a model by its card, or by its name in the catalogue


def load_engine(model: str | ModelCard) -> Engine:
    """The real thing; torch and diffusers are imported only by whoever runs a model."""
    from fastflow_ray.models.loading import load_engine

    return load_engine(model)


def load_on_gpu(model: str | ModelCard) -> Engine:
    """Where a GPU is the worker's: raises DeviceLost rather than compute on the CPU."""
    from fastflow_ray.models.device import is_gone

    if is_gone():
        raise DeviceLost("the driver shows a GPU, and CUDA finds none; see the machine's log for an Xid")
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
        load: Load = load_engine,
        executor: PublishingExecutor | None = None,
    ) -> None:
        """`queues` by model; the first one's model is loaded first."""
        self._config = config
        self._queues = dict(queues)
        self._rota = Rota(queues)
        self._store = store
        self._watch = StoreWatch(store, config.name)
        self._meter = meter
        own = {card.name: card for card in config.own}
        self._stand = Stand(config.name, lambda model: load(own.get(model, model)), meter)
        self._executor = executor or PublishingThread()
        self._timesheet = Timesheet(meter)
        self._draining = threading.Event()
        self._feed = ArmFeed(sink, config.name)
        self._cards = CardKeeper(self._queues.values(), self._card, config.lease_s, config.beat_s)
        self._intake = Intake(
            config, self._rota, self._watch, meter, self._timesheet, self._draining, on_idle=self._cards.heard_of
        )
        self._state = WorkerState.LOADING
        self._ends = ""
        self._device = ""
        self._making: Claim | None = None  # the one that has the device
        self._hands: dict[Claim, None] = {}  # all that are under way

    def run(self, jobs: int | None = None) -> None:
        """Work until `drain` is called, or until `jobs` are done.

        Raises StorageFailed if it cannot even begin, ModelLoadFailed once it can read none of its models, DeviceLost if
        it cannot go on.
        """
        try:
            runner, done = self._prepare(), 0
            while jobs is None or done < jobs:
                found = self._intake.next_claim()
                if found is None:
                    return
                done += self._run(runner, *found)
        except FastFlowError as trouble:
            self._ends = trouble.code
            raise
        finally:
            self._leave()

    def drain(self) -> None:
        """Leave soon: take no more jobs, give back the one in hand at its next step, publish what is made."""
        self._draining.set()
        self._cards.heard_of()

    def status(self) -> WorkerStatus:
        """What it is doing."""
        making, hands = self._making, list(self._hands)
        publishing = next((claim.job_id for claim in hands if claim is not making), None)
        return WorkerStatus(
            name=self._config.name,
            model=self._rota.held,
            state=self._state_with(publishing),
            rests=self._watch.why,
            job_id=making.job_id if making else None,
            publishing=publishing,
            busy_s=self._timesheet.busy_s,
            idle_s=self._timesheet.idle_s,
            switches=self._rota.switches,
            feed_failures=self._feed.failures,
            ends=self._ends,
        )

    def _state_with(self, publishing: str | None) -> WorkerState:
        if self._draining.is_set():
            return WorkerState.DRAINING
        return WorkerState.BUSY if self._state is WorkerState.IDLE and publishing else self._state

    def _card(self, model: str) -> WorkerCard:
        now = self.status()
        why = now.rests or self._rota.resting(model)
        state = RESTING if why else now.state.value
        return WorkerCard(now.name, self._device, state, now.job_id, now.publishing, why)

    def _prepare(self) -> Runner:
        self._store.check()
        self._cards.show(LOADING_S)
        self._read_first()
        for model, queue in self._queues.items():
            sweep(self._store, model, queue)
        sweep_scratch(Path(gettempdir()))
        self._timesheet.begin(self._rota.held)
        self._state = WorkerState.IDLE
        self._cards.start()
        return Runner(
            Publisher(self._store),
            self._watch,
            self._stand,
            self._executor,
            FastFlow(),
            self._feed,
            self._meter,
            self._timesheet,
            self._draining,
            self._config.beat_s,
            self._config.stall_s,
            on_end=self._ended,
            on_beat=self._cards.heard_of,
        )

    def _leave(self) -> None:
        self._state = WorkerState.LEAVING
        with ExitStack() as leaving:
            leaving.callback(self._store.close)
            for queue in self._queues.values():
                leaving.callback(queue.close)
            leaving.callback(self._cards.close)
            leaving.callback(self._feed.close)
            leaving.callback(self._executor.close)  # the last comes first: publishing still needs all the others

    def _read_first(self) -> None:
        """The first model that can be read."""
        for model in self._queues:
            try:
                self._device = self._stand.engine(model, on_step=lambda report: None).versions.get("device", "")
                return self._rota.holds(model)
            except ModelLoadFailed as error:
                self._rest(model, str(error))
        return None

    def _run(self, runner: Runner, queue: JobQueue, claim: Claim) -> bool:
        """One attempt; False if it came to nothing because the model cannot be read here, and the job went back."""
        self._hands[claim], self._making, self._state = None, claim, WorkerState.BUSY
        self._cards.heard_of()
        ending = runner.run(queue, claim)
        self._making, self._state = None, WorkerState.IDLE
        self._cards.heard_of()
        if ending and ending.reason == DeviceLost.code:
            raise DeviceLost(ending.message)
        if ending and ending.reason == ModelLoadFailed.code:
            self._rest(queue.name, ending.message)
            return False
        self._rota.holds(self._stand.holds)  # which is another model's if the attempt ended before it needed its own
        return True

    def _rest(self, model: str, why: str) -> None:
        """Leave a model that cannot be read to others, for a while; raises ModelLoadFailed if that goes for all."""
        rest_s = self._rota.rest(model, why)
        if reasons := self._rota.hopeless():
            raise ModelLoadFailed(reasons)
        log.warning("! worker %s rests %s for %.0f s: %s", self._config.name, model, rest_s, why)
        self._cards.heard_of()

    def _ended(self, claim: Claim, ending: Ending) -> None:
        del self._hands[claim]
        self._cards.heard_of()


def open_worker(config: WorkerConfig, sink: ObservationSink, meter: Meter, load: Load = load_engine) -> Worker:
    """A worker on the queues and the store its config names; raises InvalidInput for malformed URLs."""
    queues = {model: open_queue(config.redis_url, model, result_ttl_s=config.result_ttl_s) for model in config.models}
    return Worker(config, queues, open_store(config.store_url), sink, meter, load)
