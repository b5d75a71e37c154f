"""The statistics of a fleet that serves several models, each kept with its model's queue.

So whoever serves a model, in whatever fleet, learns from all who do. Knows nothing of Ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from fastflow_ray.bandit.pages import Pages
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import FastFlowError, Retryable
from orchestration.arm_statistics import FleetStatistics


class StatisticsByModel:
    """An `ObservationSink` over one `FleetStatistics` per model."""

    def __init__(self, each: Mapping[str, FleetStatistics]) -> None:
        """By model, at least one."""
        self._each = dict(each)

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """Add every model's part of a delta once per (worker, sequence); answers the snapshot of all models after it.

        Raises as `FleetStatistics.add`, after every part was tried. What was written down is, and the delta can be
        sent again as it is, for that will not count twice.
        """
        refusals: list[FastFlowError] = []
        for model, part in self._parts(Statistics.from_json(delta)).items():
            try:
                self._each[model].add(worker, sequence, part)
            except FastFlowError as refusal:
                refusals.append(refusal)
        if refusals:  # one that is worth another attempt before one that is not: the worker forgets what is refused
            raise min(refusals, key=lambda refusal: not isinstance(refusal, Retryable))
        return _together([statistics.latest() for statistics in self._each.values()])

    def snapshot(self) -> str:
        """What all models' stores hold now; raises as `FleetStatistics.anew`."""
        return _together([statistics.anew() for statistics in self._each.values()])

    def _parts(self, delta: Statistics) -> dict[str, Statistics]:
        keys: dict[str, list[str]] = {}
        for key in delta.keys:
            keys.setdefault(self._model_of(key), []).append(key)
        return {model: delta.of(*own) for model, own in keys.items()}

    def _model_of(self, key: str) -> str:
        """A policy key begins with its model's name and an @; one that names none of the fleet's goes to the first."""
        name = key.partition("@")[0]
        return name if name in self._each else next(iter(self._each))


def _together(each: Sequence[Pages]) -> str:
    """A key that two models keep, as one may that names neither, is the sum of both."""
    keys = [key for pages in each for key in pages.keys]
    if len(keys) > len(set(keys)):
        return Statistics.sum_of(pages.to_json() for pages in each).to_json()
    return reduce(Pages.updated, each).to_json()
