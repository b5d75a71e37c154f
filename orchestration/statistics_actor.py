"""The fleet's statistics as a Ray actor: a shell around `FleetStatistics` that also counts for Prometheus."""

from __future__ import annotations

from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.arm_statistics import FleetStatistics
from orchestration.fleet_plan import FleetPlan
from orchestration.metrics import StatisticsMetrics


class StatisticsActor:
    """What workers reach by the plan's `statistics_name`; start it with `start_caretaker`."""

    def __init__(self, plan: FleetPlan) -> None:
        self._plan = plan
        self._statistics = FleetStatistics(StatisticsStore(plan.redis_url, plan.model))
        self._metrics = StatisticsMetrics(plan.model)

    def plan(self) -> FleetPlan:
        """What this actor was told."""
        return self._plan

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """As `FleetStatistics.merge`."""
        try:
            return self._statistics.merge(worker, sequence, delta)
        finally:
            self._metrics.publish(self._statistics)

    def snapshot(self) -> str:
        """As `FleetStatistics.snapshot`."""
        return self._statistics.snapshot()
