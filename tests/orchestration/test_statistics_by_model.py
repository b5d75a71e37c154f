"""What a fleet of several models learnt is kept with each model, once, and answered as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from leaks import ClosedAfter

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import QueueUnavailable, StatisticsMismatch
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.arm_statistics import FleetStatistics
from orchestration.statistics_by_model import StatisticsByModel


def learnt(*keys: str) -> Statistics:
    """One run under each key."""
    tables = {key: TrajectoryTable.empty(steps=3, grid="grid") for key in keys}
    for table in tables.values():
        table.add_run(np.eye(3))
    return Statistics({}, tables)


class Models:
    """Two models' statistics on one server."""

    def __init__(self, url: str, prefix: str) -> None:
        self.one, self.two = f"{prefix}-one", f"{prefix}-two"
        self.stores = {model: StatisticsStore(url, model) for model in (self.one, self.two)}
        self.each = {model: FleetStatistics(store) for model, store in self.stores.items()}
        self.together = StatisticsByModel(self.each)

    def key(self, model: str) -> str:
        return f"{model}@revision:steps3"

    def runs(self) -> tuple[int, int]:
        """Kept by each store, for as long as each keeps its own model's alone."""
        one, two = (Statistics.sum_of(store.load().documents.values()) for store in self.stores.values())
        assert not any(key.startswith(self.two) for key in one.keys)
        assert all(key.startswith(self.two) for key in two.keys)
        return sum(map(one.runs, one.keys)), sum(map(two.runs, two.keys))

    def close(self) -> None:
        for store in self.stores.values():
            store.close()


@pytest.fixture
def models(valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter) -> Models:
    return closed_after(Models(valkey.url, model))


def test_each_models_part_is_kept_with_it_and_all_of_it_answered(models: Models) -> None:
    both = learnt(models.key(models.one), models.key(models.two))
    assert models.together.merge("w", 0, both.to_json()) == both.to_json()
    assert models.runs() == (1, 1)
    more = learnt(models.key(models.two))
    assert models.together.merge("w", 1, more.to_json()) == both.merge(more).to_json() == models.together.snapshot()
    assert models.runs() == (1, 2)


def test_a_part_that_was_written_down_does_not_count_again_when_the_rest_was_not(
    own_valkey: EmbeddedValkey, valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    models = closed_after(Models(valkey.url, model))
    away = FleetStatistics(closed_after(StatisticsStore(own_valkey.url, models.two)))
    half = StatisticsByModel(models.each | {models.two: away})
    both = learnt(models.key(models.one), models.key(models.two)).to_json()
    own_valkey.stop()
    with pytest.raises(QueueUnavailable):
        half.merge("w", 0, both)
    assert models.runs() == (1, 0)
    models.together.merge("w", 0, both)
    assert models.runs() == (1, 1)


def test_what_one_model_refuses_costs_the_others_nothing(models: Models) -> None:
    models.together.merge("w", 0, learnt(models.key(models.one)).to_json())
    other_grid = TrajectoryTable.empty(steps=4, grid="another")
    other_grid.add_run(np.eye(4))
    both = Statistics({}, {models.key(models.one): other_grid} | learnt(models.key(models.two)).trajectories)
    with pytest.raises(StatisticsMismatch):
        models.together.merge("w", 1, both.to_json())
    assert models.runs() == (1, 1)


def test_a_key_that_names_no_model_of_the_fleet_is_kept_with_the_first(models: Models) -> None:
    models.together.merge("w", 0, learnt("of-whom").to_json())
    assert models.runs() == (1, 0)


def test_a_key_that_two_models_keep_is_answered_as_the_sum(models: Models) -> None:
    """As when two fleets serve the same models in another order."""
    report = learnt("of-whom")
    for model, worker in ((models.one, "a"), (models.two, "b")):
        models.each[model].add(worker, 0, report)
    assert models.together.snapshot() == report.merge(report).to_json()
    assert models.together.merge("c", 0, report.to_json()) == report.merge(report).merge(report).to_json()
