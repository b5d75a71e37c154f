"""A whole fleet on this machine, down to its Redis and its Ray; nothing of it stays behind but its data.

However this process ends, SIGKILL included, Linux ends what it started: Ray and Valkey are tied to it. (After a SIGKILL
two agents of Ray's look for their raylet for another minute, and its folder of logs stays in /tmp until the next
fleet is raised, or the next worker started.)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any

from fastflow_ray.errors import InvalidInput
from fastflow_ray.queue import open_queue
from fastflow_ray.storage import open_store
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.fleet_plan import FleetPlan
from orchestration.kept_valkey import KeptValkey
from orchestration.own_ray import own_ray


class LocalFleet:
    """A context manager that yields the `Fleet`, ready for jobs; `logs` is then the folder of its processes' logs.

    Raises QueueUnavailable or StorageFailed if it could not work, FleetUnavailable if it does not come up.

    It runs a Valkey in `data`/valkey unless it is given a Redis, and keeps videos in `data`/store unless it is given a
    store. `settings` are fields of a FleetPlan, such as `lease_s`.
    """

    def __init__(
        self,
        data: Path,
        limits: Limits,
        models: Sequence[str] = ("shapes",),
        redis_url: str | None = None,
        store_url: str | None = None,
        dashboard_port: int | None = None,
        **settings: Any,
    ) -> None:
        self._data = data.resolve()
        self._limits = limits
        self._models = tuple(models)
        self._redis_url = redis_url
        self._store_url = store_url or (self._data / "store").as_uri()
        self._dashboard_port = dashboard_port
        self._settings = settings
        self._running = ExitStack()
        self.logs: Path | None = None
        _check_gpus(limits.ceiling)

    def __enter__(self) -> Fleet:
        with ExitStack() as starting:
            redis_url = self._redis_url or starting.enter_context(KeptValkey(self._data / "valkey")).url
            place = _this_process() if self._redis_url else ""  # others may serve the queues of a Redis that is given
            plan = FleetPlan(self._models, redis_url, self._store_url, self._limits, place=place, **self._settings)
            _check_places(plan)
            self.logs = starting.enter_context(own_ray(self._limits.ceiling, self._dashboard_port))
            fleet = Fleet(plan)
            starting.callback(fleet.dissolve)
            fleet.wait_ready()
            self._running = starting.pop_all()
        return fleet

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


def _this_process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _check_places(plan: FleetPlan) -> None:
    """Ask queues and store before Ray is started; raises InvalidInput, QueueUnavailable or StorageFailed."""
    for model in plan.models:
        with closing(open_queue(plan.redis_url, model, result_ttl_s=plan.result_ttl_s)) as queue:
            queue.depth()
    with closing(open_store(plan.store_url)) as store:
        store.check()


def _check_gpus(workers: int) -> None:
    there = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if 0 < there < workers:
        raise InvalidInput(f"{workers} workers need {workers} GPUs, and this machine has {there}; ask for fewer")
