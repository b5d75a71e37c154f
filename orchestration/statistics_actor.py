"""The fleet's statistics as a Ray actor: a shell around `StatisticsByModel` that also counts for Prometheus."""

from __future__ import annotations

from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.arm_statistics import FleetStatistics
from orchestration.fleet_plan import FleetPlan
from orchestration.metrics import StatisticsMetrics
from orchestration.statistics_by_model import StatisticsByModel


class StatisticsActor:
    """What workers reach by the plan's `statistics_name`; start it with `start_caretaker`."""

    def __init__(self, plan: FleetPlan) -> None:
        self._plan = plan
        self._each = {model: FleetStatistics(StatisticsStore(plan.redis_url, model)) for model in plan.models}
        self._all = StatisticsByModel(self._each)
        self._metrics = StatisticsMetrics()

    def plan(self) -> FleetPlan:
        """What this actor was told."""
        return self._plan

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """As `StatisticsByModel.merge`."""
        try:
            return self._all.merge(worker, sequence, delta)
        finally:
            for model, statistics in self._each.items():
                self._metrics.publish(model, statistics)

    def snapshot(self) -> str:
        """As `StatisticsByModel.snapshot`."""
        return self._all.snapshot()
