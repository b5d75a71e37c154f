"""The figures that k8s/README.md tells of are those that there are, and all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Counter
from ray.util import metrics

README = Path(__file__).parents[2] / "k8s" / "README.md"
TABLE = re.compile(r"^\| (`.*?) \| (?:supervisor|workers|statistics) \|", re.MULTILINE)


def told() -> set[str]:
    names = {name for row in TABLE.findall(README.read_text()) for name in re.findall(r"`([a-z_]+)[`{]", row)}
    sums = {f"{name.removesuffix('_seconds')}_sum_seconds_total" for name in names if is_duration(name)}
    return names | sums


def is_duration(name: str) -> bool:
    return name in {"job_queue_seconds", "job_duration_seconds", "cancel_latency_seconds"}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What supervisor, workers and statistics export, as Ray calls it, without what all begin with."""
    made: list[tuple[str, type]] = []
    begin = metrics.Metric.__init__

    def noted(self: metrics.Metric, name: str, *arguments: object) -> None:
        made.append((name, type(self)))
        begin(self, name, *arguments)

    monkeypatch.setattr(metrics.Metric, "__init__", noted)
    from orchestration.metrics import FleetMetrics, StatisticsMetrics
    from workers.metrics import RayMeter

    FleetMetrics("m")
    StatisticsMetrics()
    RayMeter()
    endings = {metrics.Counter: "_total"}
    return {name.removeprefix("fastflow_") + endings.get(kind, "") for name, kind in made}


def test_every_figure_of_the_fleet_is_told_of_and_no_other(figures: set[str]) -> None:
    assert told() == figures


def test_the_apis_figures_are_told_of() -> None:
    from orchestration.api.metrics import ApiMetrics

    own = [figure for figure in vars(ApiMetrics()).values() if hasattr(figure, "describe")]
    names = {figure.describe()[0].name + ("_total" if isinstance(figure, Counter) else "") for figure in own}
    assert len(names) == 3
    for name in names:
        assert f"`{name}" in README.read_text()
