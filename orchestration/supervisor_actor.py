"""The supervisor as a Ray actor: a thread that ticks, and answers for displays. A shell around `Supervisor`."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace

from fastflow_ray.errors import FastFlowError
from fastflow_ray.queue import open_queue
from orchestration.backlog import Backlog
from orchestration.fleet_plan import FleetPlan
from orchestration.metrics import FleetMetrics
from orchestration.ray_pool import RayPool
from orchestration.supervisor import FleetStatus, Supervisor

log = logging.getLogger(__name__)

TICK_S = 1.0


class SupervisorActor:
    """Begins to work when it is made; start it with `start_caretaker`."""

    def __init__(self, plan: FleetPlan) -> None:
        self._plan = plan
        limits = {"max_crashes": plan.max_crashes, "result_ttl_s": plan.result_ttl_s}
        backlog = Backlog([open_queue(plan.redis_url, model, **limits) for model in plan.models], plan.grace_s)
        self._supervisor = Supervisor(
            plan.name,
            backlog,
            RayPool(plan),
            plan.limits,
            plan.worker_prefix,
            worker_suffix=plan.worker_suffix,
        )
        self._metrics = FleetMetrics(plan.name, plan.limits.ceiling)
        self._status = FleetStatus(plan.name)
        threading.Thread(target=self._tick_for_ever, name="ticks", daemon=True).start()

    def plan(self) -> FleetPlan:
        """What this supervisor was told."""
        return self._plan

    def status(self) -> FleetStatus:
        """What the last tick saw and decided, and what kept it from another."""
        return self._status

    def close(self) -> None:
        """Dismiss every worker; `status` shows when they have left."""
        self._supervisor.close()

    def _tick_for_ever(self) -> None:
        try:
            while True:
                self._tick()
                time.sleep(TICK_S)
        finally:
            # A defect of ours: an actor that lives and does nothing would be worse than one Ray starts anew.
            log.critical("! the supervisor of %s stumbled", self._plan.name, exc_info=True)
            os._exit(1)

    def _tick(self) -> None:
        try:
            self._status = self._supervisor.tick()
            self._metrics.publish(self._status)
        except FastFlowError as passing:
            self._status = replace(self._status, trouble=str(passing))
            self._metrics.show_pulse(self._status)
            log.warning("! tick: %s", passing)
