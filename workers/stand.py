"""The one model that stands on the device: another takes its place when a job wants it. Knows no job."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable

from fastflow_ray.errors import ModelLoadFailed, UnknownModel
from fastflow_ray.models.engine import Engine, OnStep, StepReport
from workers.meter import Meter

log = logging.getLogger(__name__)


class Stand:
    """Room for one model; for the worker's thread."""

    def __init__(self, worker: str, load: Callable[[str], Engine], meter: Meter) -> None:
        self._worker = worker
        self._load = load
        self._meter = meter
        self.holds = ""  # this model; empty: none
        self._engine: Engine | None = None

    def engine(self, model: str, on_step: OnStep) -> Engine:
        """The model's engine, read first if another stands there; raises ModelLoadFailed, and whatever `on_step`
        raises."""
        if self._engine is None or self.holds != model:
            on_step(StepReport("load"))
            self._clear()
            self._engine = self._read(model)
        return self._engine

    def free(self) -> None:
        """Give back to the device what was held by a generation that ended early."""
        if self._engine is not None:
            self._engine.free()

    def _clear(self) -> None:
        """Both at once may be more than the device holds."""
        if self._engine is not None:
            log.info("<- worker %s puts %s away", self._worker, self.holds)
            self._engine, self.holds = None, ""
            gc.collect()

    def _read(self, model: str) -> Engine:
        began_s = time.monotonic()
        log.info("-> worker %s loads %s", self._worker, model)
        try:
            engine = self._load(model)
        except UnknownModel as error:  # to a job of that model's queue it is the same: not its fault, and not here
            raise ModelLoadFailed(str(error)) from error
        self.holds = model
        self._meter.loaded(model, time.monotonic() - began_s)
        log.info("<- worker %s has loaded %s@%s", self._worker, engine.model, engine.revision)
        return engine
