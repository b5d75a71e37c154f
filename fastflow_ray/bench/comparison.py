"""One regime's result: the curves, and which methods are no rows and why. Pure; no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastflow_ray.bench.compare import Curve, Point, at_work, curve, lead, point
from fastflow_ray.bench.measurement import FULL, Measurement
from fastflow_ray.bench.regime import Regime

OURS = "ours"


@dataclass(frozen=True)
class Comparison:
    """Methods side by side."""

    regime: Regime
    budgets: tuple[float, ...]  # as speedups
    full: Point
    curves: tuple[Curve, ...]  # in the roster's order
    absent: Mapping[str, str]  # label → why it is no row
    idle: Mapping[str, Sequence[str]]  # label → settings that are no points, and why

    @property
    def ours(self) -> Curve | None:
        """The learned plan that learnt from most."""
        mine = [each for each in self.curves if each.method == OURS]
        return max(mine, key=lambda each: each.learning, default=None)

    @property
    def peers(self) -> list[Curve]:
        """All others."""
        return [each for each in self.curves if each.method != OURS]

    @property
    def works(self) -> list[int]:
        """The budgets in evaluated steps."""
        return [self.regime.evaluations(speedup) for speedup in self.budgets]

    def lead(self, evaluations: float) -> tuple[float, str] | None:
        """Of ours over the best peer at this work, in dB of the mean, and that peer."""
        return lead(self.ours.points, self.peers, evaluations) if self.ours else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "regime": asdict(self.regime),
            "full": asdict(self.full),
            "curves": [asdict(each) | {"label": each.label} for each in self.curves],
            "at_equal_work": [self._at(speedup) for speedup in self.budgets],
            "not_applicable": dict(self.absent),
            "settings_left_out": {label: list(settings) for label, settings in self.idle.items()},
        }

    def _at(self, speedup: float) -> dict[str, Any]:
        evaluations = self.regime.evaluations(speedup)
        found = {each.label: at_work(each.points, evaluations) for each in self.curves}
        ahead = self.lead(evaluations)
        return {
            "speedup": speedup,
            "evaluations": evaluations,
            "psnr_db": {label: asdict(there) for label, there in found.items() if there},
            "lead_db": {"of_mean": ahead[0], "over": ahead[1]} if ahead else None,
        }


def compared(
    regime: Regime,
    budgets: Sequence[float],
    measurements: Sequence[Measurement],
    absent_methods: Mapping[tuple[str, int], str],
    absent_settings: Mapping[tuple[str, int, str], str],
) -> Comparison:
    """What was measured in one regime, in the roster's order and at least its full runs, with the verdicts on what is
    no row."""
    groups = _by_method(measurements)
    for place in absent_settings:
        groups.setdefault(place[:2], [])
    full = point(groups.pop((FULL, 0)))
    curves = {key: curve(group) for key, group in groups.items()}
    absent = dict(absent_methods)
    for key, found in curves.items():
        if found is None:
            absent[key] = "; ".join(dict.fromkeys(why for place, why in absent_settings.items() if place[:2] == key))
    idle: dict[str, list[str]] = {}
    for place, why in absent_settings.items():
        if place[:2] not in absent:
            idle.setdefault(_label(place[:2]), []).append(f"{place[2]}: {why}")
    rows = tuple(found for found in curves.values() if found is not None)
    return Comparison(regime, tuple(budgets), full, rows, {_label(key): why for key, why in absent.items()}, idle)


def _by_method(measurements: Sequence[Measurement]) -> dict[tuple[str, int], list[Measurement]]:
    """In the order of each method's first."""
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.method, each.learning), []).append(each)
    return groups


def _label(key: tuple[str, int]) -> str:
    return Curve(*key, points=()).label
