"""A promised fidelity as a picture: what each job kept, and what it evaluated. Knows no measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fastflow_ray.atomic_file import replacing
from fastflow_ray.bench.comparison import OURS
from fastflow_ray.bench.plot import FAMILIES, INK, OTHERS, dress, spread
from fastflow_ray.bench.promise.schedules import Schedule, Target
from fastflow_ray.bench.promise.service import Job
from fastflow_ray.bench.regime import Regime

NAME = 0.045  # of a panel's height: what a line of text takes


def draw(
    regime: Regime, target: Target, jobs: Sequence[Job], schedules: Mapping[str, Schedule | None], path: Path
) -> None:
    """Write a PNG of two panels; raises FastFlowError if it cannot be written."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    kept, made = figure.subplots(2, 1, sharex=True)
    ceiling = max([job.psnr_db for job in jobs if job.psnr_db < float("inf")], default=target.fidelity_db) + 6
    for place, job in enumerate(jobs, 1):
        is_full = job.psnr_db > ceiling
        below = job.psnr_db < target.fidelity_db
        kept.plot(
            place, min(job.psnr_db, ceiling), marker="^" if is_full else "o", markersize=4,
            color=OTHERS if is_full else "#C00000" if below else FAMILIES[OURS],
        )  # fmt: skip
    kept.axhline(target.fidelity_db, color=INK, linewidth=0.9, linestyle=":")
    made.step(range(1, len(jobs) + 1), [job.evaluations for job in jobs], where="mid", color=FAMILIES[OURS])
    _draw_schedules(made, [schedule for schedule in schedules.values() if schedule], regime.steps)
    _dress(kept, "dB kept, of decoded frames (triangles: run in full)", "")
    _dress(made, f"steps evaluated, of {regime.steps} (dashed: the cheapest schedules that keep it)", "jobs")
    made.set_ylim(0, regime.steps * 1.04)
    title = (
        f"{target.fidelity_db:g} dB in {target.confidence:.0%} of jobs, asked of a fleet that knew nothing: {regime}"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, color=INK)
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=130)


def _draw_schedules(axes: Any, schedules: Sequence[Schedule], steps: int) -> None:
    """A line at the work of each, and its name beside it, moved where names would lie on each other."""
    rising = sorted(schedules, key=lambda schedule: schedule.evaluations)
    heights = spread([schedule.evaluations for schedule in rising], steps * NAME, 0, steps)
    for schedule, height in zip(rising, heights, strict=True):
        colour = FAMILIES.get(schedule.method, OTHERS)
        axes.axhline(schedule.evaluations, color=colour, linewidth=0.9, linestyle="--")
        axes.annotate(schedule.method, (1.005, height), xycoords=("axes fraction", "data"), va="center", color=colour)


def _dress(axes: Any, title: str, across: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    dress(axes, across)
