"""One fleet's caretaker: each tick reaps lost jobs, replaces dead workers and fits their number to its queues.

It keeps nothing that matters: jobs are in queues and workers are found again by name, so it may die at any moment.
Knows neither Ray nor Redis; `supervisor_actor.py` puts it into an actor.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from fastflow_ray.errors import DeviceLost
from fastflow_ray.queue.contract import QueueDepth
from orchestration.autoscale import Limits, workers_wanted
from orchestration.backlog import Backlog, demand, total
from orchestration.creation_backoff import CreationBackoff
from orchestration.hung_workers import HungWorkers
from orchestration.load_history import LoadHistory
from orchestration.resting_machines import RestingMachines
from orchestration.worker_pool import WorkerPool, WorkerSight
from workers.status import WorkerState

log = logging.getLogger(__name__)

READY = frozenset({WorkerState.IDLE, WorkerState.BUSY})
HANDS_EMPTY = frozenset({WorkerState.PENDING, WorkerState.LOADING})
SPARE = (WorkerState.PENDING, WorkerState.LOADING, WorkerState.IDLE)  # first to last; never a busy one, nor one adopted


@dataclass(frozen=True)
class FleetStatus:
    """What one tick saw and decided."""

    fleet: str  # its name
    wanted: int = 0  # workers
    workers: tuple[WorkerSight, ...] = ()
    depths: Mapping[str, QueueDepth] = field(default_factory=dict)  # by model
    job_s: float | None = None  # worker seconds per job, once one has ended
    exits: Mapping[str, int] = field(default_factory=dict)  # cause → workers that ended since the supervisor began
    reaped: int = 0  # jobs taken from workers that fell silent, since the supervisor began
    ticked_s: float = 0.0  # since the epoch; 0: not yet
    resting: Mapping[str, str] = field(default_factory=dict)  # machine → why it gets no workers for a while
    closing: bool = False  # every worker has been told to leave
    trouble: str = ""  # why there was no tick since, if it failed

    @property
    def depth(self) -> QueueDepth:
        """Of all its queues."""
        return total(self.depths.values())

    def count(self, *states: WorkerState) -> int:
        """How many workers are in one of these states."""
        return sum(worker.state in states for worker in self.workers)

    def in_one_line(self) -> str:
        """For people."""
        states = Counter(worker.in_a_word for worker in self.workers)
        workers = ", ".join(f"{number} {state}" for state, number in states.items()) or "none"
        depth = self.depth
        jobs = f"{depth.queued} queued, {depth.running} running, {depth.succeeded} done"
        jobs += f", {depth.delayed} delayed" if depth.delayed else ""
        jobs += f", {depth.dead} failed" if depth.dead else ""
        parts = (f"workers: {workers}", f"jobs: {jobs}", *self.resting.values(), self.trouble)
        return "; ".join(part for part in parts if part)


class Supervisor:
    """Drives one pool of workers, each of which serves the whole backlog; called `worker_prefix`, a number and
    `worker_suffix`."""

    def __init__(
        self,
        fleet: str,
        backlog: Backlog,
        pool: WorkerPool,
        limits: Limits,
        worker_prefix: str,
        clock: Callable[[], float] = time.monotonic,
        worker_suffix: str = "",
    ) -> None:
        self._fleet = fleet
        self._backlog = backlog
        self._pool = pool
        self._limits = limits
        self._worker_prefix, self._worker_suffix = worker_prefix, worker_suffix
        self._clock = clock
        self._history = LoadHistory(limits)
        self._backoff = CreationBackoff()
        self._hung = HungWorkers()
        self._machines = RestingMachines()
        self._avoided: frozenset[str] | None = None  # nodes, by those who wait for one; None: told by a predecessor
        self._last: dict[str, WorkerSight] = {}  # by name, at the last look
        self._proven: set[str] = set()  # names of workers that have been ready for jobs
        self._ending: dict[str, str] = {}  # name → cause, of those that were told to go, or tell that they do
        self._exits: Counter[str] = Counter()
        self._reaped = 0
        self._closing = False

    def close(self) -> None:
        """From the next tick on, dismiss every worker, the busy ones too, and make none."""
        self._closing = True

    def tick(self) -> FleetStatus:
        """Look once and act once.

        Raises QueueUnavailable or FleetUnavailable; the next tick looks anew, so nothing is lost by it.
        """
        now_s = self._clock()
        self._reap(now_s)
        depths = self._backlog.depths()
        present = self._take_stock(self._pool.look(), now_s)
        self._end_hung(present, now_s)
        self._keep_off(present, now_s)
        staying = [one for one in present if one.state is not WorkerState.DRAINING and one.name not in self._ending]
        load = self._history.load(demand(depths.values()), len(staying), now_s)
        closing = self._closing  # may be set from another thread
        wanted = 0 if closing else workers_wanted(load, self._limits)
        if wanted > len(staying) and self._backoff.over(now_s):
            self._create(_begun_at_once(wanted, staying), taken={worker.name for worker in present})
        elif wanted < len(staying):
            self._dismiss(staying, len(staying) - wanted)
        return FleetStatus(
            fleet=self._fleet,
            wanted=wanted,
            workers=tuple(present),
            depths=depths,
            job_s=load.job_s,
            exits=dict(self._exits),
            reaped=self._reaped,
            ticked_s=time.time(),
            resting=self._show_resting(now_s),
            closing=closing,
        )

    def _reap(self, now_s: float) -> None:
        taken = self._backlog.reap()
        self._reaped += len(taken)
        self._hung.robbed(taken, self._last.values(), now_s)

    def _take_stock(self, sights: Sequence[WorkerSight], now_s: float) -> list[WorkerSight]:
        """Note who ended, who became ready and who lost the device; answers those who are there."""
        self._machines.see(sights, now_s)
        for worker in sights:
            if worker.ends == DeviceLost.code and not self._ended_before(worker.name):
                self._note_loss(worker, now_s)
            if worker.state is WorkerState.GONE:
                self._note_exit(worker.name, now_s)
            elif worker.state in READY and worker.name not in self._proven:
                self._proven.add(worker.name)
                self._backoff.reset()
        present = [worker for worker in sights if worker.state is not WorkerState.GONE]
        self._last = {worker.name: worker for worker in present}
        return present

    def _ended_before(self, name: str) -> bool:
        """Whether it told at the last look that it ends."""
        return name in self._last and bool(self._last[name].ends)

    def _note_loss(self, worker: WorkerSight, now_s: float) -> None:
        log.warning("! worker %s lost its device, of machine %s", worker.name, worker.machine)
        self._ending[worker.name] = DeviceLost.code
        self._machines.lost(worker.machine, now_s)

    def _note_exit(self, name: str, now_s: float) -> None:
        cause = self._ending.pop(name, None)
        if cause is None and name in self._last and self._last[name].state is WorkerState.DRAINING:
            cause = "drained"  # by somebody else: its node is going away
        if cause is None:
            cause = "died"
            log.warning("! worker %s died", name)
        if cause in ("died", DeviceLost.code) and name not in self._proven:
            self._backoff.failed(now_s)
        self._proven.discard(name)
        self._exits[cause] += 1

    def _end_hung(self, present: Sequence[WorkerSight], now_s: float) -> None:
        self._hung.forgive(self._backlog.runs_at)
        for worker in self._hung.among(present, now_s):
            self._end(worker, "hung")

    def _keep_off(self, present: Sequence[WorkerSight], now_s: float) -> None:
        """End those who have not begun and would on a machine that rests, or who wait and were told of other machines
        than rest now: those who are made in their place know better."""
        avoid = self._machines.nodes(now_s)
        for worker in present:
            misled = worker.state is WorkerState.PENDING and avoid != self._avoided
            misplaced = worker.state is WorkerState.LOADING and worker.node in avoid
            if (misled or misplaced) and worker.name not in self._ending:
                self._end(worker, "moved")
        self._avoided = avoid

    def _show_resting(self, now_s: float) -> Mapping[str, str]:
        resting = self._machines.whys(now_s)
        self._backlog.show_resting(resting)
        return resting

    def _create(self, number: int, taken: Collection[str]) -> None:
        names = (f"{self._worker_prefix}{n}{self._worker_suffix}" for n in count())
        for name in islice((name for name in names if name not in taken), number):
            log.info("-> worker %s", name)
            self._pool.create(name, self._avoided or ())

    def _dismiss(self, staying: Sequence[WorkerSight], number: int) -> None:
        spare = tuple(WorkerState) if self._closing else SPARE
        going = sorted((one for one in staying if one.state in spare), key=lambda one: spare.index(one.state))
        for worker in going[:number]:
            self._end(worker, "dismissed")

    def _end(self, worker: WorkerSight, cause: str) -> None:
        log.info("<- worker %s, %s: %s", worker.name, worker.state, cause)
        if worker.state in HANDS_EMPTY or cause == "hung":
            self._pool.kill(worker.name)  # asked to drain, it would first get its node and load its model
        else:
            self._pool.drain(worker.name)
        self._ending[worker.name] = cause


def _begun_at_once(wanted: int, staying: Sequence[WorkerSight]) -> int:
    """All that lack. But while anyone rests no more are on the way than are at work, and one at least: all may meet the
    same trouble, or it may be of some machines alone."""
    lacking, ready = wanted - len(staying), [worker for worker in staying if worker.state in READY]
    at_work = sum(not worker.rests for worker in ready)
    if at_work == len(ready):
        return lacking
    return max(0, min(lacking, max(1, at_work) - (len(staying) - len(ready))))
