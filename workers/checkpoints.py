"""When a job's state goes to the store, and from which state an attempt goes on.

A checkpoint is written when it pays: when so much work would be lost that all the checkpoints together cost no more
than a hundredth of it; and always when the worker leaves. The GPU waits for the copy to this machine's memory alone;
a thread carries that to the store. What comes from the store is believed only if it proves to be of this very job, and
made by the same weights and software. No fault of the store's ends a job here: at worst, work is done again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from fastflow_ray.checkpoints.blob import read_checkpoint, write_checkpoint
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.checkpoints.passport import Passport
from fastflow_ray.errors import QueueUnavailable, StorageFailed, UnusableCheckpoint
from fastflow_ray.jobs.payload import digest
from fastflow_ray.jobs.states import TERMINAL
from fastflow_ray.models.engine import Engine, GenerationSpec, StepReport
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.checkpoints import CheckpointRoom
from fastflow_ray.storage.contract import Store
from workers.ending import Fate

log = logging.getLogger(__name__)

WORTH_S = 5.0  # of sampling; less is done again about as soon as it is written and read
SHARE = 0.01  # of a job's time, for its checkpoints
PATIENCE_S = 15.0  # for the last write of a worker that leaves; a spot notice leaves 30 s and more
FORGOTTEN_S = 7 * 86_400.0  # since the latest attempt at a job that the queue does not know
OVER = frozenset({Fate.SUCCEEDED, Fate.DEAD, Fate.CANCELLED})
Made = TypeVar("Made")


def is_due(unsaved_s: float, cost_s: float) -> bool:
    """Whether `unsaved_s` seconds of work are worth a checkpoint, the last of which took `cost_s` to copy and write."""
    return unsaved_s >= max(WORTH_S, cost_s / SHARE)


class Checkpoints:
    """Of all the jobs of one worker."""

    def __init__(self, store: Store, draining: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        """`draining` is set when the worker has to leave."""
        self.store = store
        self.draining = draining
        self.clock = clock
        self.writer = Writer(clock)

    def of(self, model: str, claim: Claim) -> SavedJob:
        """Of one attempt."""
        return SavedJob(self, CheckpointRoom(self.store, model), claim)


class SavedJob:
    """The checkpoints of one attempt at a job."""

    def __init__(self, worker: Checkpoints, room: CheckpointRoom, claim: Claim) -> None:
        self._worker = worker
        self._room = room
        self._claim = claim
        self._saved_s = worker.clock()  # when the latest checkpoint was taken, or the work began
        self._saved_step = 0  # of the newest checkpoint in the store
        self._resumed = False
        self._passport: Passport | None = None

    def go_on(self, engine: Engine, spec: GenerationSpec, make: Callable[[Checkpoint | None], Made]) -> Made:
        """What `make` makes from the newest checkpoint that can be used, or else from none; raises what it raises."""
        claim, any_economy = self._claim, replace(spec, frugal=False)  # which changes how latents are made, not which
        self._passport = Passport.of(
            claim.job_id, digest(claim.payload), any_economy, engine.model, engine.revision, engine.versions
        )
        self._saved_step = 0
        if (checkpoint := self._newest(self._passport)) is not None:
            try:
                self._resumed = True
                self._saved_step = checkpoint.step
                return make(checkpoint)
            except UnusableCheckpoint as error:
                self._resumed = False
                self._saved_step = 0
                self._ignore(error)
        return make(None)

    def on_step(self, report: StepReport) -> None:
        """Take a checkpoint if one is due, or if this worker leaves; tell those who may stop the job afterwards."""
        now_s = self._worker.clock()
        if report.phase == "sample" and report.step <= report.resumed_at:
            self._saved_s = now_s  # the work begins
        if report.checkpoint is None or self._passport is None:
            return
        if self._worker.draining.is_set() or is_due(now_s - self._saved_s, self._worker.writer.cost_s):
            checkpoint, passport = report.checkpoint(), self._passport
            self._saved_s = self._worker.clock()
            if checkpoint.step <= self._saved_step:  # an audit goes on, and its video's is there
                return
            self._worker.writer.give(lambda: self._write(checkpoint, passport), self._saved_s - now_s)

    def flush(self) -> None:
        """See the latest checkpoint into the store, where whoever is given the job next will look for it."""
        if not self._worker.writer.flush(PATIENCE_S):
            log.warning("! %s does not wait for its last checkpoint: the store is slow", self._claim.job_id)

    def settle(self, fate: Fate) -> None:
        """Delete the checkpoints of a job that is over, or that failed after it had gone on from one."""
        self.flush()
        if fate not in OVER and not (fate is Fate.RETRIED and self._resumed):
            return
        try:
            self._room.delete(self._claim.job_id)
        except StorageFailed as error:
            log.warning("! %s leaves a checkpoint behind: %s", self._claim.job_id, error)

    def _newest(self, passport: Passport) -> Checkpoint | None:
        try:
            for blob in self._room.newest_first(self._claim.job_id):
                try:
                    checkpoint = read_checkpoint(blob, passport)
                    log.info("-> %s goes on after step %d", self._claim.job_id, checkpoint.step)
                    return checkpoint
                except UnusableCheckpoint as error:
                    self._ignore(error)
        except StorageFailed as error:
            log.warning("! %s cannot look for a checkpoint and begins anew: %s", self._claim.job_id, error)
        return None

    def _ignore(self, error: UnusableCheckpoint) -> None:
        log.warning("! %s has a checkpoint that is ignored: %s", self._claim.job_id, error)

    def _write(self, checkpoint: Checkpoint, passport: Passport) -> None:
        try:
            self._room.put(self._claim.job_id, self._claim.fence, write_checkpoint(checkpoint, passport))
            self._saved_step = checkpoint.step
        except StorageFailed as error:
            log.warning("! %s has no checkpoint of step %d: %s", self._claim.job_id, checkpoint.step, error)


class Writer:
    """Writes in a thread, one thing at a time; of what comes meanwhile the newest replaces the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.cost_s = 0.0  # of the latest: the copy that was waited for, and the write that was not
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: tuple[Callable[[], None], float] | None = None
        self._thread: threading.Thread | None = None

    def give(self, write: Callable[[], None], copied_s: float = 0.0) -> None:
        """Have it written soon; returns at once."""
        with self._lock:
            self._waiting = (write, copied_s)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._carry, name="checkpoints", daemon=True)
                self._thread.start()

    def flush(self, patience_s: float) -> bool:
        """Wait until everything is written; whether it was in time."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(patience_s)
        return thread is None or not thread.is_alive()

    def _carry(self) -> None:
        while (given := self._take()) is not None:
            write, copied_s = given
            began_s = self._clock()
            write()
            self.cost_s = copied_s + self._clock() - began_s

    def _take(self) -> tuple[Callable[[], None], float] | None:
        with self._lock:
            given, self._waiting = self._waiting, None
            if given is None:
                self._thread = None
            return given


def sweep(store: Store, model: str, queue: JobQueue, clock: Callable[[], float] = time.time) -> None:
    """Delete those of jobs that ended where no worker was: cancelled in the queue, buried by the reaper.

    A job that the queue does not know may be another queue's that shares the store: it was forgotten only if nobody has
    begun an attempt at it for long, which its fence tells.
    """
    room, forgotten = CheckpointRoom(store, model), int((clock() - FORGOTTEN_S) * 1e6)
    try:
        for job_id in room.job_ids():
            record = queue.get(job_id)
            if record.state in TERMINAL if record else room.all_before(job_id, forgotten):
                room.delete(job_id)
    except (QueueUnavailable, StorageFailed) as error:
        log.warning("! checkpoints of jobs that are over may lie about: %s", error)
