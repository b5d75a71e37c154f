"""Carries what a worker learnt to the fleet and what the fleet knows back, from a thread of its own.

The GPU never waits for it. Every report is counted exactly once: it is sent again, unchanged and under the same number,
until it is answered; what is learnt meanwhile adds up to one next report, for statistics merge by addition. So nothing
is lost while the fleet's statistics are away, and what waits is never more than two reports. Knows no job and no Ray.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from functools import reduce

from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import Retryable, StatisticsMismatch

log = logging.getLogger(__name__)

RETRY_S = 2.0  # between two attempts to reach a sink that is away


class ArmFeed:
    """The one who reports for one worker. `give` and `known` are for the worker's thread and return at once."""

    def __init__(self, sink: ObservationSink, worker: str, retry_s: float = RETRY_S) -> None:
        # A worker that starts anew under its old name counts from 0 again; the sink must not take its reports for
        # repetitions. Hence the random part.
        self.worker = f"{worker}-{secrets.token_hex(4)}"
        self.failures = 0  # questions and reports without a legible answer; refused reports are not among them
        self._sink = sink
        self._retry_s = retry_s
        self._sequence = 0
        self._sending = Statistics()
        self._waiting = Statistics()
        self._held: dict[int, Statistics] = {}
        self._snapshot = Statistics()  # of the fleet, by its latest answer
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._carry, name=f"feed-{worker}", daemon=True)
        self._thread.start()

    def give(self, delta: Statistics) -> None:
        """Report what was learnt."""
        if delta:
            with self._changed:
                self._waiting = self._waiting.merge(delta)
                self._changed.notify()

    def hold(self, delta: Statistics) -> Callable[[bool], None]:
        """Keep what was learnt back until the answer is called, from any thread: True reports it, False drops it."""
        with self._changed:
            self._held[id(delta)] = delta

        def settle(report: bool) -> None:
            with self._changed:
                if self._held.pop(id(delta), None) is not None and report:
                    self.give(delta)

        return settle

    def known(self) -> Statistics:
        """What the fleet knew when it last answered, and what is on the way to it or held back; not what was dropped or
        refused."""
        with self._changed:
            return reduce(Statistics.plus, [self._sending, self._waiting, *self._held.values()], self._snapshot)

    def close(self, patience_s: float = 5.0) -> bool:
        """Send what is left, once, and end; whether all of it arrived in time."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(patience_s)
        with self._changed:
            return not (self._sending or self._waiting)

    def _carry(self) -> None:
        self._fetch()
        while self._take():
            while not self._deliver():
                if self._closing.wait(self._retry_s):
                    return
            self._sequence += 1

    def _take(self) -> bool:
        """Wait for something to report; False: there is nothing left, and there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            self._sending, self._waiting = self._waiting, Statistics()
            return bool(self._sending)

    def _fetch(self) -> None:
        """What the fleet knew before this worker came; without a legible answer, the first report brings it."""
        try:
            self._settle(Statistics.from_json(self._sink.snapshot()))
        except Exception as error:  # noqa: BLE001  # a thread that ended here would carry nothing any more
            self._count_failure(error)

    def _deliver(self) -> bool:
        """Whether the report in hand needs no further attempt: it was merged, or refused for good."""
        try:
            answer = self._sink.merge(self.worker, self._sequence, self._sending.to_json())
        except StatisticsMismatch as error:
            log.warning("! the fleet refuses what %s learnt: %s", self.worker, error)
            self._settle(self._snapshot)
        except Exception as error:  # noqa: BLE001  # as in `_fetch`
            self._count_failure(error)
            return False
        else:
            self._settle(self._read(answer))
        return True

    def _read(self, answer: str) -> Statistics:
        """What the fleet knows by its answer to a report; if that is illegible, what it knew before, and the report."""
        try:
            return Statistics.from_json(answer)
        except StatisticsMismatch as error:
            self._count_failure(error)
            return self._snapshot.plus(self._sending)

    def _settle(self, snapshot: Statistics) -> None:
        with self._changed:
            self._sending, self._snapshot = Statistics(), snapshot

    def _count_failure(self, error: Exception) -> None:
        if not self.failures:
            defect = None if isinstance(error, Retryable | StatisticsMismatch) else error
            trying = "! %s cannot have the fleet's statistics, will go on trying: %s"
            log.warning(trying, self.worker, error, exc_info=defect)
        self.failures += 1
