"""Keeps one claim's lease alive from a thread of its own, and tells the job at its next step when to stop.

The beat shares neither the GPU's loop nor its fate: it goes on while Python is busy, and falls silent when the step
counter stands still, so that a hung kernel loses its job like a dead machine. To wait for another attempt is no step:
whoever waits for one that hangs falls silent like it. Knows nothing of models or stores.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from fastflow_ray.errors import Draining, JobCancelled, LeaseLost, QueueUnavailable
from fastflow_ray.models.engine import StepReport
from fastflow_ray.queue.contract import Claim, JobQueue, Progress, Verdict
from fastflow_ray.queue.limits import BEAT_S, STALL_S

log = logging.getLogger(__name__)

PAUSE_S = 0.5  # at least this long between two beats, however fast the steps
RETRY_S = 2.0  # between two attempts to reach a queue that is away
LOADING_S = 900.0  # reading a model tells nothing for so long


class LeaseKeeper:
    """Of one attempt: beats from `start` to `stop`."""

    def __init__(
        self,
        queue: JobQueue,
        claim: Claim,
        draining: threading.Event,
        beat_s: float = BEAT_S,
        stall_s: float = STALL_S,
        clock: Callable[[], float] = time.monotonic,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        """`draining` is set when this worker has to leave; it outlives the attempt. `on_beat` hears of every beat that
        reached the queue."""
        self._queue = queue
        self._claim = claim
        self._draining = draining
        self._beat_s = beat_s
        self._stall_s = self._patience_s = stall_s
        self._clock = clock
        self._on_beat = on_beat
        self._progress = Progress()
        self._moved_s = clock()
        self._sampling_since_s: float | None = None
        self._verdict = Verdict.MINE
        self._reachable = True
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{claim.job_id}", daemon=True)

    def start(self) -> Self:
        """Beat from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Fall silent; may be called from another thread than `start`."""
        self._over.set()
        self._news.set()
        self._thread.join()

    def on_step(self, report: StepReport) -> None:
        """Take note of the progress; raises LeaseLost, JobCancelled or Draining when the attempt has to end here."""
        self._moved_s = self._clock()
        self._patience_s = max(self._stall_s, LOADING_S) if report.phase == "load" else self._stall_s
        self._hear(report)

    def on_wait(self, report: StepReport, ahead: LeaseKeeper) -> None:
        """As `on_step`, of who waits for the attempt `ahead` to make room: nothing moves but what moves there."""
        self._moved_s = max(self._moved_s, ahead._moved_s)
        self._patience_s = self._stall_s
        self._hear(report)

    def _hear(self, report: StepReport) -> None:
        self._progress = self._progress_of(report)
        self._news.set()
        if self._verdict is Verdict.LOST:
            raise LeaseLost(f"job {self._claim.job_id} was given to another worker")
        if self._verdict is Verdict.CANCEL:
            raise JobCancelled("cancelled on request")
        nearly_done = report.phase != "load" and report.step >= report.steps  # sooner done than done again
        if self._draining.is_set() and not nearly_done:
            raise Draining(f"this worker leaves; job {self._claim.job_id} goes back to the queue")

    def _progress_of(self, report: StepReport) -> Progress:
        if not report.steps:  # encode and upload have none: what sampling did stays on the display
            return replace(self._progress, phase=report.phase, eta_s=0.0)
        return Progress(
            report.phase,
            report.step,
            report.steps,
            report.evaluated,
            report.skipped,
            self._eta_s(report),
            report.audit_steps,
        )

    def _eta_s(self, report: StepReport) -> float | None:
        """Time left if the video's steps to come take as long as those behind us did on average; an audit's end is not
        known, for what it shows decides which other plans are tried."""
        if report.phase == "audit":
            return None
        if not report.step:
            self._sampling_since_s = self._moved_s if report.phase == "sample" else None
            return None
        if self._sampling_since_s is None:
            return None
        taken = report.step - report.resumed_at
        return (self._moved_s - self._sampling_since_s) / taken * (report.own_steps - report.step)

    def _keep(self) -> None:
        pause_s = min(PAUSE_S, self._beat_s)
        while not self._over.wait(pause_s):
            patience_s = self._beat_s if self._reachable else min(self._beat_s, RETRY_S)
            self._news.wait(patience_s - pause_s)
            self._news.clear()
            if self._over.is_set() or self._verdict is Verdict.LOST:
                return
            if not self._stalled():
                self._beat()

    def _stalled(self) -> bool:
        """Silence is not the end: should the steps go on before anybody took the job, so do the beats."""
        return self._clock() - self._moved_s >= self._patience_s

    def _beat(self) -> None:
        # A queue out of reach says nothing about the lease. Nobody can take the job while the queue is away, a lease
        # that ran out revives with the next beat if no reaper saw it twice, and if one did, the fence refuses our
        # result. So the job computes on, whatever the clock says: the worst that can happen is work done in vain,
        # while stopping would waste it for certain.
        try:
            self._verdict = self._queue.heartbeat(self._claim, self._progress)
        except Exception as error:  # a thread that ended here would lose the job without a word
            if self._reachable:
                defect = None if isinstance(error, QueueUnavailable) else error
                log.warning("! %s cannot beat, will go on trying: %s", self._claim.job_id, error, exc_info=defect)
            self._reachable = False
        else:
            self._reachable = True
            self._on_beat()
