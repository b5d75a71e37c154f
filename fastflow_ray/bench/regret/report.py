"""What fleets lost, as a table and a file. Simulates nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastflow_ray.bench.regret.learning import Fleet, plateau, settled, speedup
from fastflow_ray.bench.regret.plot import draw
from fastflow_ray.bench.regret.simulation import Order
from fastflow_ray.bench.result_files import save
from fastflow_ray.bench.table import NOTHING, Grid
from fastflow_ray.counted import counted


@dataclass(frozen=True)
class Report:
    """Of the fleets, the first of which the others are held against; the last is FastFlow's bandit."""

    order: Order
    fleets: Sequence[Fleet]

    @property
    def level(self) -> float:
        """The regret that the fleets settle at, the mean of the learned plan's."""
        ours = [plateau(fleet) for fleet in self.fleets[:-1]]
        return sum(ours) / len(ours)

    def grid(self) -> Grid:
        """A row per fleet."""
        header = [
            "fleet", "evaluated", "regret dB", "plateau", "learns", "per worker", "settled", "learning",
        ]  # fmt: skip
        order = self.order
        worlds = counted(order.worlds, "world")
        title = f"Regret of {order.jobs} jobs, {order.evaluations} of {order.steps} evaluated, {worlds}"
        return Grid(title, header, [self._row(fleet) for fleet in self.fleets])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"order": asdict(self.order), "plateau_db": self.level, "fleets": [*map(self._facts, self.fleets)]}

    def _row(self, fleet: Fleet) -> list[str]:
        facts, is_ours = self._facts(fleet), fleet is not self.fleets[-1]
        time = facts["settled"]
        return [
            fleet.label,
            f"{fleet.evaluations:.1f}",
            f"{facts['regret_db']:.2f}",
            f"{facts['plateau_db']:.2f}",
            f"{facts['speedup']:.1f} ×" if is_ours else NOTHING,
            f"{facts['speedup'] / fleet.workers:.0%}" if is_ours else NOTHING,
            NOTHING if time is None else f"{time:.1f}",
            f"{facts['learning'] / fleet.jobs:.1f}",
        ]

    def _facts(self, fleet: Fleet) -> dict[str, Any]:
        return {
            "label": fleet.label,
            "workers": fleet.workers,
            "evaluations": fleet.evaluations,
            "regret_db": fleet.regret_served,
            "plateau_db": plateau(fleet),
            "speedup": speedup(self.fleets[0], fleet),
            "settled": settled(fleet, self.level),
            "learning": fleet.learning[-1],
            "regret_by_job": fleet.regret,
            "learning_by_job": fleet.learning,
        }


def write(folder: Path, report: Report, facts: Mapping[str, Any]) -> None:
    """Leave `regret.json`, `regret.md` and `regret.png`; raises FastFlowError if one cannot be written."""
    sections = [f"`{facts['command']}`", report.grid().to_markdown()]
    save(folder, "regret", {**facts, **report.to_dict()}, sections)
    draw(report.order, report.fleets, report.level, folder / "regret.png")
