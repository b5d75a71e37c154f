"""A whole fleet on this machine, down to its Redis and its Ray; nothing of it stays behind but its data.

However this process ends, SIGKILL included, Linux ends what it started: Ray and Valkey are tied to it. (After a SIGKILL
two agents of Ray's look for their raylet for another minute, and its folder of logs stays in /tmp.)
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import ray
from ray.exceptions import RayError

from fastflow_ray.errors import FleetUnavailable, InvalidInput
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.held_interrupt import held_interrupt
from orchestration.kept_valkey import KeptValkey

LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 100 * 2**20  # only texts travel through Ray
SHORT = "/tmp"  # the path of a socket has at most 107 bytes, and Ray puts 60 of its own below this


class LocalFleet:
    """A context manager that yields the `Fleet`, ready for jobs; raises FleetUnavailable if it does not come up.

    It runs a Valkey in `data`/valkey unless it is given a Redis, and keeps videos in `data`/store unless it is given a
    store. `times` are the seconds of a FleetPlan, such as `lease_s`.
    """

    def __init__(
        self,
        data: Path,
        limits: Limits,
        model: str = "shapes",
        redis_url: str | None = None,
        store_url: str | None = None,
        dashboard_port: int | None = None,
        **times: float,
    ) -> None:
        self._data = data.resolve()
        self._limits = limits
        self._model = model
        self._redis_url = redis_url
        self._store_url = store_url or (self._data / "store").as_uri()
        self._dashboard_port = dashboard_port
        self._times = times
        self._running = ExitStack()
        _check_gpus(limits.ceiling)

    def __enter__(self) -> Fleet:
        with ExitStack() as starting:
            redis_url = self._redis_url or starting.enter_context(KeptValkey(self._data / "valkey")).url
            plan = FleetPlan(self._model, redis_url, self._store_url, self._limits, **self._times)
            plan.check()
            starting.enter_context(_own_ray(self._limits.ceiling, self._dashboard_port))
            fleet = Fleet(plan)
            starting.callback(fleet.dissolve)
            fleet.wait_ready()
            self._running = starting.pop_all()
        return fleet

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()


@contextmanager
def _own_ray(workers: int, dashboard_port: int | None) -> Iterator[None]:
    """A Ray of this process's own, with a GPU to pin each worker to, be it only a number."""
    folder = tempfile.mkdtemp(prefix="fastflow-", dir=SHORT)
    keep_logs = False
    try:
        _start_ray(workers, dashboard_port, folder)
        yield
    except FleetUnavailable as trouble:
        keep_logs = True
        raise FleetUnavailable(f"{trouble}; the logs are in {folder}/session_latest/logs") from trouble
    finally:
        ray.shutdown()
        if not keep_logs:
            shutil.rmtree(folder, ignore_errors=True)


def _start_ray(workers: int, dashboard_port: int | None, folder: str) -> None:
    try:
        with held_interrupt():
            ray.init(
                "local",  # never a cluster that happens to be there
                namespace=NAMESPACE,
                num_gpus=workers,
                num_cpus=workers + 1,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=dashboard_port is not None,
                dashboard_host=LOOPBACK,
                dashboard_port=dashboard_port,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise FleetUnavailable(f"Ray did not start on this machine: {error}") from error


def _check_gpus(workers: int) -> None:
    there = len(list(Path("/dev").glob("nvidia[0-9]*")))
    if 0 < there < workers:
        raise InvalidInput(f"{workers} workers need {workers} GPUs, and this machine has {there}; ask for fewer")
