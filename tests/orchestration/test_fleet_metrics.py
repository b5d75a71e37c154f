"""What the supervisor shows Prometheus, and goes on showing: Ray forgets a gauge that is not set again."""

from __future__ import annotations

import pytest
from ray.util import metrics

from fastflow_ray import __version__
from fastflow_ray.queue.contract import QueueDepth
from orchestration.metrics import FleetMetrics
from orchestration.supervisor import FleetStatus

SEEN = FleetStatus(
    "a+b", wanted=3, depths={"a": QueueDepth(queued=4), "b": QueueDepth(dead=1)}, exits={"died": 2}, reaped=1,
    ticked_s=100.0,
)  # fmt: skip
Told = dict[tuple[str, ...], float]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What Ray was told last, by name and labels; of counters, the sums."""
    told: Told = {}

    def record(metric: metrics.Metric, value: float, tags: dict[str, str] | None = None) -> None:
        key = (metric.info["name"].removeprefix("fastflow_"), *(tags or {}).values())
        told[key] = told.get(key, 0.0) + value if isinstance(metric, metrics.Counter) else value

    monkeypatch.setattr(metrics.Metric, "_record", record)
    return told


def test_a_tick_shows_the_queues_by_model_and_the_workers_by_fleet(told: Told) -> None:
    shown = FleetMetrics("a+b", ceiling=8)
    shown.publish(SEEN)
    shown.publish(SEEN)
    assert (told["queue_depth", "a"], told["jobs", "b", "dead"]) == (4, 1)
    assert (told["workers_wanted", "a+b"], told["workers_ceiling", "a+b"]) == (3, 8)
    assert (told["worker_exits", "a+b", "died"], told["jobs_reaped", "a+b"]) == (2, 1)


def test_a_tick_that_failed_shows_how_old_the_last_good_one_is(told: Told) -> None:
    shown = FleetMetrics("a+b", ceiling=8)
    shown.publish(SEEN)
    told.clear()
    shown.show_pulse(SEEN)
    assert told == {("supervisor_last_tick_timestamp_seconds", "a+b"): 100.0, ("build_info", __version__): 1}
