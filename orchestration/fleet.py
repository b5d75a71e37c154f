"""A fleet in a Ray cluster that is there: raised or joined, waited for, dissolved. `local_fleet.py` brings the Ray."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from fastflow_ray.counted import counted
from fastflow_ray.errors import FleetUnavailable
from orchestration.caretaker import ANSWER_S, end_caretaker, start_caretaker
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.statistics_actor import StatisticsActor
from orchestration.supervisor import FleetStatus
from orchestration.supervisor_actor import SupervisorActor
from workers.status import WorkerState

log = logging.getLogger(__name__)

READY_S = 300.0  # for the first workers: processes, a model, all on a machine that may be busy
DRAIN_S = 30.0  # for workers to give their jobs back
KNOCK_S = 10.0
POLL_S = 0.2
HOPELESS_DEATHS = 3  # so many workers dead and none ready: waiting will not help
DIED = "worker died, and its logs tell why", "workers died, and their logs tell why"


class Fleet:
    """One fleet in the Ray cluster this process is connected to; it lives on when this process ends."""

    def __init__(self, plan: FleetPlan) -> None:
        self.plan = plan
        with _ray_answers():
            self.statistics = start_caretaker(StatisticsActor, plan.statistics_name, plan)
            self.supervisor = start_caretaker(SupervisorActor, plan.supervisor_name, plan)

    def status(self) -> FleetStatus:
        """What the supervisor last saw; raises FleetUnavailable."""
        with _ray_answers():
            status: FleetStatus = ray.get(self.supervisor.status.remote(), timeout=ANSWER_S)
        return status

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Return when the supervisor works and as many workers as the floor are ready; else FleetUnavailable."""
        deadline_s = time.monotonic() + timeout_s
        while not self._is_ready(status := self._seen()):
            hopeless = status.exits.get("died", 0) >= HOPELESS_DEATHS
            if hopeless or time.monotonic() > deadline_s:
                raise FleetUnavailable(f"the fleet of {self.plan.name} is not ready: {self._why(status)}")
            time.sleep(POLL_S)

    def dissolve(self, timeout_s: float = DRAIN_S) -> bool:
        """Let all workers give back their jobs and leave, then end the caretakers; whether all left in time."""
        try:
            left = self._close(time.monotonic() + timeout_s)
            with _ray_answers():
                end_caretaker(self.supervisor, self.plan.supervisor_name)
                end_caretaker(self.statistics, self.plan.statistics_name)
        except FleetUnavailable as trouble:
            log.warning("! the fleet of %s ends in disorder: %s", self.plan.name, trouble)
            return False
        return left

    def _seen(self) -> FleetStatus:
        """The status, which is empty while Ray starts the supervisor anew."""
        try:
            return self.status()
        except FleetUnavailable:
            return FleetStatus(self.plan.name)

    def _is_ready(self, status: FleetStatus) -> bool:
        return status.ticked_s > 0 and status.count(WorkerState.IDLE, WorkerState.BUSY) >= self.plan.limits.floor

    def _why(self, status: FleetStatus) -> str:
        died = status.exits.get("died", 0)
        deaths = counted(died, *DIED) if died else ""
        seen = ", ".join(f"{worker.name} is {worker.state}" for worker in status.workers)
        parts = (status.trouble, deaths, *status.resting.values(), seen)
        return "; ".join(part for part in parts if part) or "its supervisor has not begun"

    def _close(self, deadline_s: float) -> bool:
        while time.monotonic() < deadline_s:
            self.supervisor.close.remote()  # again each time: a supervisor that starts anew has not heard it
            status = self._seen()
            if status.closing and not status.workers:
                return True
            time.sleep(POLL_S)
        return False


def join_cluster(address: str, plan: FleetPlan) -> Fleet:
    """The fleet in an existing Ray cluster: joined if it is there, else raised. Raises FleetUnavailable."""
    plan.check()
    try:
        _knock(address)
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise FleetUnavailable(f"no Ray cluster answers at {address}; start one there first: {error}") from error
    return Fleet(plan)


def _knock(address: str) -> None:
    """Ray would try for many minutes to reach a port where nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


@contextmanager
def _ray_answers() -> Iterator[None]:
    # Asked for anything without a connection, Ray would start a cluster of its own in this process and say nothing; a
    # client that lost its head for half a minute has none any more.
    if not ray.is_initialized():
        raise FleetUnavailable("the connection to the Ray cluster is lost; join it again")
    try:
        yield
    except (RayError, ConnectionError) as error:
        raise FleetUnavailable(f"Ray does not answer: {error}") from error
