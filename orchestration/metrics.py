"""What the supervisor and the statistics actor tell Prometheus; Ray exports each name with `ray_` in front.

Counters are named without `_total`, which Ray adds. No job and no worker is a label. A gauge set by several processes
would be several series, so whatever describes the whole fleet is set here, by the one supervisor alone. Ray forgets a
gauge that is not set again within two of its reports, 20 s: what is to be seen is set at every tick.
"""

from __future__ import annotations

from dataclasses import asdict

from ray.util.metrics import Counter, Gauge

from fastflow_ray import __version__
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import QueueDepth
from orchestration.arm_statistics import FleetStatistics
from orchestration.supervisor import FleetStatus
from workers.status import WorkerState


class FleetMetrics:
    """The supervisor's figures: of every queue under its model's name, of the workers under the fleet's."""

    def __init__(self, fleet: str, ceiling: int) -> None:
        self._fleet, self._most = {"model": fleet}, ceiling
        self._build = Gauge("fastflow_build_info", "The version at work; always 1", ("version",))
        self._depth = _gauge("queue_depth", "Jobs that wait for a worker")
        self._oldest = _gauge("queue_oldest_age_seconds", "How long the first job of the queue has waited")
        self._jobs = _gauge("jobs", "Jobs by state", "state")
        self._workers = _gauge("workers", "Workers by state", "state")
        self._resting = _gauge("workers_resting", "Workers that take no jobs, for their store keeps nothing")
        self._machines = _gauge("machines_resting", "Machines that get no workers, for workers lost their GPUs there")
        self._wanted = _gauge("workers_wanted", "Workers there should be")
        self._ceiling = _gauge("workers_ceiling", "Workers there may be at most")
        self._backlog = _gauge("backlog_gpu_seconds", "Worker seconds of work queued or running")
        self._tick = _gauge("supervisor_last_tick_timestamp_seconds", "When the supervisor last finished a tick")
        self._exits = _counter("worker_exits", "Workers that ended", "cause")
        self._exits_told: dict[str, int] = {}
        self._reaped = _counter("jobs_reaped", "Jobs taken back from workers that fell silent")
        self._reaped_told = 0

    def publish(self, status: FleetStatus) -> None:
        """Show what a tick saw."""
        for model, depth in status.depths.items():
            self._show_queue(model, depth)
        for worker_state in WorkerState:
            if worker_state is not WorkerState.GONE:
                self._workers.set(status.count(worker_state), self._fleet | {"state": worker_state.value})
        self._resting.set(sum(bool(worker.rests) for worker in status.workers), self._fleet)
        self._machines.set(len(status.resting), self._fleet)
        self._wanted.set(status.wanted, self._fleet)
        self._ceiling.set(self._most, self._fleet)
        depth = status.depth
        work = depth.queued + depth.delayed + depth.running
        self._backlog.set(work * (status.job_s or 0.0), self._fleet)
        self.show_pulse(status)
        self._count_exits(status)
        if news := status.reaped - self._reaped_told:
            self._reaped.inc(news, self._fleet)
        self._reaped_told = status.reaped

    def show_pulse(self, status: FleetStatus) -> None:
        """Show that there is a supervisor, and when it last got through a tick, though that be long ago."""
        self._tick.set(status.ticked_s, self._fleet)
        self._build.set(1, {"version": __version__})

    def _show_queue(self, model: str, depth: QueueDepth) -> None:
        self._depth.set(depth.queued + depth.delayed, {"model": model})
        self._oldest.set(depth.oldest_queued_age_s, {"model": model})
        for state in JobState:
            self._jobs.set(asdict(depth)[state], {"model": model, "state": state.value})

    def _count_exits(self, status: FleetStatus) -> None:
        for cause, total in status.exits.items():
            if news := total - self._exits_told.get(cause, 0):
                self._exits.inc(news, self._fleet | {"cause": cause})
        self._exits_told = dict(status.exits)


class StatisticsMetrics:
    """The statistics actor's figures of each model's bandit."""

    def __init__(self) -> None:
        self._pulls = _counter("bandit_pulls", "Skips and evaluations whose error the fleet has learnt")
        self._runs = _counter("bandit_runs", "Generations the fleet has learnt from")
        self._errors = _counter("bandit_persist_errors", "Reports that could not be written to Redis")
        self._updated = _gauge("bandit_last_update_timestamp_seconds", "When the fleet last learnt something")
        self._told: dict[str, tuple[int, int, int]] = {}  # by model, already counted

    def publish(self, model: str, statistics: FleetStatistics) -> None:
        """Show what is new since the last call for this model."""
        totals = (statistics.pulls, statistics.runs, statistics.persist_errors)
        before = self._told.get(model, (0, 0, 0))
        for counter, total, told in zip((self._pulls, self._runs, self._errors), totals, before, strict=True):
            if total > told:  # Ray refuses to count nothing
                counter.inc(total - told, {"model": model})
        self._told[model] = totals
        if statistics.updated_s is not None:
            self._updated.set(statistics.updated_s, {"model": model})


def _gauge(name: str, description: str, *tags: str) -> Gauge:
    return Gauge(f"fastflow_{name}", description, ("model", *tags))


def _counter(name: str, description: str, *tags: str) -> Counter:
    return Counter(f"fastflow_{name}", description, ("model", *tags))
