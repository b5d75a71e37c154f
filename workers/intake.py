"""Where a worker's next job comes from: its queues in turn, and patience while there is no job, no queue, no store.

Knows queues, and whether the store is in doubt; what becomes of a claimed job is no concern of it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.contract import Claim, JobQueue
from workers.config import WorkerConfig
from workers.meter import Meter
from workers.rota import Rota
from workers.store_watch import StoreWatch
from workers.timesheet import Timesheet

log = logging.getLogger(__name__)

WAIT_S = 1.0  # for a job, before looking whether to leave
LONGEST_BACKOFF_S = 5.0  # between two attempts to reach a queue that is away


class Intake:
    """Of one worker; for the worker's thread."""

    def __init__(
        self,
        config: WorkerConfig,
        rota: Rota,
        watch: StoreWatch,
        meter: Meter,
        timesheet: Timesheet,
        draining: threading.Event,
        on_idle: Callable[[], None],
    ) -> None:
        """`draining` is set when the worker takes no more jobs; `on_idle` hears whenever there was none to take."""
        self._config = config
        self._rota = rota
        self._watch = watch
        self._meter = meter
        self._timesheet = timesheet
        self._draining = draining
        self._on_idle = on_idle
        self._nonce = secrets.token_hex(8)  # of the next claim
        self._unanswered: JobQueue | None = None  # was asked for a job, and may have given one

    def next_claim(self) -> tuple[JobQueue, Claim] | None:
        """Wait for a job, and tell whose queue it is from; None: it is time to leave."""
        failures = 0
        while not self._draining.is_set():
            if self._watch.in_doubt:
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
        self._give_back()
        return None

    def _claim(self) -> tuple[JobQueue, Claim] | None:
        for queue in [self._unanswered] if self._unanswered else self._rota.queues():
            if claim := self._ask(queue):
                if not claim.look_only and self._rota.took(queue.name):
                    self._meter.switched(queue.name)
                return queue, claim
        return None

    def _ask(self, queue: JobQueue) -> Claim | None:
        """What was not answered is asked again before anything else, or a job might be nobody's until it is reaped."""
        self._unanswered = queue
        claim = queue.claim(self._config.name, self._config.lease_s, self._nonce)
        self._nonce, self._unanswered = secrets.token_hex(8), None
        return claim

    def _give_back(self) -> None:
        """What a worker that takes no more may have been given without hearing of it."""
        nonce = self._nonce
        with suppress(QueueUnavailable):
            if (queue := self._unanswered) and (claim := self._ask(queue)):
                self._unanswered, self._nonce = queue, nonce  # not given back yet: asked again, it is the same claim
                queue.release(claim)
                self._unanswered, self._nonce = None, secrets.token_hex(8)

    def _wait_for_a_job(self) -> None:
        self._on_idle()
        queues = self._rota.awake()
        with self._timesheet.waiting():
            for queue in queues:
                queue.wait(WAIT_S / len(queues))

    def _await_store(self) -> None:
        """Take no job while the store keeps nothing: a full disk would send the whole queue to the dead letters.

        One that was given without an answer goes back, or it would be nobody's until it is reaped."""
        while self._watch.in_doubt and not self._draining.is_set():
            self._give_back()
            if self._watch.why:
                self._look_again_in(self._watch.pause_s, self._watch.why)
            self._pause(self._watch.pause_s, needed=lambda: self._watch.in_doubt)
            if not self._draining.is_set():
                self._watch.is_trusted()

    def _back_off(self, failures: int, error: QueueUnavailable) -> None:
        backoff_s = min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 6))
        self._look_again_in(backoff_s, str(error))
        self._pause(backoff_s)

    def _look_again_in(self, pause_s: float, why: str) -> None:
        log.warning("! worker %s looks again in %.1f s: %s", self._config.name, pause_s, why)

    def _pause(self, pause_s: float, needed: Callable[[], bool] = lambda: True) -> None:
        """It lives, though what it needs does not answer."""
        until_s = time.monotonic() + pause_s
        with self._timesheet.waiting():
            self._on_idle()
            while needed() and (left_s := until_s - time.monotonic()) > 0:
                if self._draining.wait(min(left_s, WAIT_S)):
                    return
                self._on_idle()
