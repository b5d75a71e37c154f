"""The figures that a fleet and its API export, by the names that Prometheus has for them, read off the code itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import prometheus_client
from ray.util import metrics

from orchestration.api.metrics import ApiMetrics
from orchestration.metrics import FleetMetrics, StatisticsMetrics
from workers.metrics import RayMeter

RAYS = "ray_"  # what Ray puts before each name


@dataclass(frozen=True)
class Figure:
    """One metric, under the name that its table row has."""

    name: str
    labels: frozenset[str]
    is_histogram: bool

    @property
    def series(self) -> set[str]:
        """The names to ask for; no histogram's `_sum`, which Ray estimates."""
        return {f"{self.name}_bucket", f"{self.name}_count"} if self.is_histogram else {self.name}


@cache
def figures() -> Mapping[str, Figure]:
    """All of them, by name."""
    return {figure.name: figure for figure in (*_of_ray(), *_of_the_api())}


@cache
def labels_of_series() -> Mapping[str, frozenset[str]]:
    """Every name there is to ask for, with its labels."""
    bucket = frozenset({"le"})
    return {
        name: figure.labels | bucket if figure.is_histogram else figure.labels
        for figure in figures().values()
        for name in figure.series
    }


def _of_ray() -> Iterator[Figure]:
    for owner in (FleetMetrics("m", 1), StatisticsMetrics(), RayMeter()):
        for one in vars(owner).values():
            if isinstance(one, metrics.Metric):
                ending = "_total" if isinstance(one, metrics.Counter) else ""
                name = f"{RAYS}{one.info['name']}{ending}"
                yield Figure(name, frozenset(one.info["tag_keys"]), isinstance(one, metrics.Histogram))


def _of_the_api() -> Iterator[Figure]:
    for one in vars(ApiMetrics()).values():
        if isinstance(one, prometheus_client.metrics.MetricWrapperBase):
            (family,) = one.describe()
            ending = "_total" if isinstance(one, prometheus_client.Counter) else ""
            is_histogram = isinstance(one, prometheus_client.Histogram)
            yield Figure(f"{family.name}{ending}", frozenset(one._labelnames), is_histogram)
