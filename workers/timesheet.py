"""When the device had work, told to a meter. Knows no job.

It works from the moment a video is begun, text encoding first, until it is decoded. All other time is idle: between
two videos it claims, looks into the store and hands over; with nothing to do it waits; and it changes its model, which
counts for the new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from workers.meter import Meter


class Timesheet:
    """Of one worker, from when it is made; for the worker's thread."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self.busy_s = self.idle_s = 0.0
        self._meter = meter
        self._clock = clock
        self._since_s = clock()
        self._model = ""  # what it last worked with

    def begin(self, model: str) -> None:
        """It is ready to work with this model; what was before is not counted."""
        self._model = model
        self._lap()

    @contextmanager
    def working(self, model: str) -> Iterator[None]:
        """Inside, the device has work, and it is for this model."""
        self._model = model
        self.count_idle()
        try:
            yield
        finally:
            self.busy_s += (seconds := self._lap())
            self._meter.was_busy(self._model, seconds)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, there is no job to be had."""
        self.count_idle()
        began_s = self._since_s
        try:
            yield
        finally:
            self.count_idle()
            self._meter.waited(self._model, self._since_s - began_s)

    def count_idle(self) -> None:
        """Up to now it had none."""
        self.idle_s += (seconds := self._lap())
        self._meter.was_idle(self._model, seconds)

    def _lap(self) -> float:
        before_s, self._since_s = self._since_s, self._clock()
        return self._since_s - before_s
