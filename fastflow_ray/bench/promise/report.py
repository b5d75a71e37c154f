"""A promised fidelity as a table, a file and a picture. Measures nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastflow_ray.bench.benchmark import EQUAL_DB
from fastflow_ray.bench.comparison import OURS
from fastflow_ray.bench.promise.plot import draw
from fastflow_ray.bench.promise.schedules import Schedule, Target
from fastflow_ray.bench.promise.service import Job
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.result_files import save
from fastflow_ray.bench.table import NOTHING, Grid


@dataclass(frozen=True)
class Report:
    """What was asked for, what the jobs kept, and the cheapest fixed schedules that keep it."""

    regime: Regime
    target: Target
    jobs: Sequence[Job]
    schedules: Mapping[str, Schedule | None]  # by method; None: no setting of it keeps the fidelity

    def grid(self) -> Grid:
        """Ours in all jobs and once it skips, then a row per schedule."""
        header = ["", "evaluated", "learning", "videos", "kept", "worst dB"]
        rows = [self._ours("all jobs", self.jobs)]
        if serving := self.serving:
            rows.append(self._ours("from the first that skips", serving))
        rows += [self._schedule(name, schedule) for name, schedule in self.schedules.items()]
        title = f"{self.target.fidelity_db:g} dB in {self.target.confidence:.0%} of videos; {self.regime}"
        return Grid(title, header, rows)

    @property
    def serving(self) -> Sequence[Job]:
        """The jobs from the first that skipped anything."""
        first = next((place for place, job in enumerate(self.jobs) if math.isfinite(job.psnr_db)), len(self.jobs))
        return self.jobs[first:]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "regime": asdict(self.regime),
            "target": asdict(self.target),
            "jobs": [asdict(job) | {"psnr_db": min(job.psnr_db, EQUAL_DB)} for job in self.jobs],
            "schedules": {name: schedule and asdict(schedule) for name, schedule in self.schedules.items()},
        }

    def _ours(self, which: str, jobs: Sequence[Job]) -> list[str]:
        made = sum(job.evaluations for job in jobs) / len(jobs)
        learning = sum(job.learning for job in jobs) / len(jobs)
        return [f"{OURS}, {which}", f"{made:.1f}", f"{learning:.1f}", *self._kept([job.psnr_db for job in jobs])]

    def _schedule(self, name: str, schedule: Schedule | None) -> list[str]:
        if schedule is None:
            return [name, "none keeps it", *[NOTHING] * 4]
        kept = self._kept(schedule.psnr_db)
        return [f"{name}, {schedule.setting}", f"{schedule.evaluations:.1f}", NOTHING, *kept]

    def _kept(self, decibels: Sequence[float]) -> list[str]:
        kept = sum(db >= self.target.fidelity_db for db in decibels) / len(decibels)
        return [str(len(decibels)), f"{kept:.1%}", f"{min(decibels):.1f}"]


def write(folder: Path, report: Report, facts: Mapping[str, Any]) -> None:
    """Leave `fidelity.json`, `fidelity.md` and `fidelity.png`; raises FastFlowError if one cannot be written."""
    sections = [f"`{facts['command']}`", report.grid().to_markdown()]
    save(folder, "fidelity", {**facts, **report.to_dict()}, sections)
    draw(report.regime, report.target, report.jobs, report.schedules, folder / "fidelity.png")
