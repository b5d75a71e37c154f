"""What was learnt as a picture: for every policy key pulls and mean error over steps and arms, or how alike the
velocities of its trajectories are and how deviations grow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fastflow_ray.atomic_file import replacing
from fastflow_ray.counted import counted

if TYPE_CHECKING:
    from fastflow_ray.bandit.arm_table import ArmTable
    from fastflow_ray.bandit.statistics import Statistics
    from fastflow_ray.bandit.trajectory import TrajectoryTable

LEAST = 1e-6  # difference of two velocities that is still told apart


def draw(statistics: Statistics, path: Path) -> None:
    """Write a PNG of what was learnt; raises FastFlowError if it cannot be written."""
    figure = pictured(statistics)
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=120)


def pictured(statistics: Statistics) -> Figure:
    """A row per key: two matrices, or a matrix and a curve."""
    arms, trajectories = sorted(statistics.tables.items()), sorted(statistics.trajectories.items())
    rows = max(len(arms) + len(trajectories), 1)
    figure = Figure(figsize=(11, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    for (key, table), (left, right) in zip(arms, axes, strict=False):
        _arms(left, table, table.pulls, f"{key}\npulls")
        _arms(right, table, table.mean_error, f"{counted(table.runs, 'generation')}\nmean error", norm=_scale(table))
    for (key, trajectory), (left, right) in zip(trajectories, axes[len(arms) :], strict=False):
        _alikeness(left, trajectory, f"{key}\n1 − cosine of velocities")
        walked = counted(trajectory.runs, "trajectory", "trajectories")
        _growth(right, trajectory, f"{walked}\ngrowth of deviations")
    return figure


def _arms(axes: Any, table: ArmTable, values: Any, title: str, **scale: Any) -> None:
    _matrix(axes, values.T, title, **scale)
    axes.set(ylabel="steps skipped", yticks=range(len(table.arms)))
    axes.set_yticklabels(table.arms)


def _scale(table: ArmTable) -> LogNorm | None:
    """By powers of ten, unless there is nothing to show: of no numbers there is no logarithm."""
    return LogNorm() if (table.mean_error > 0).any() else None


def _alikeness(axes: Any, table: TrajectoryTable, title: str) -> None:
    _matrix(axes, np.maximum(1 - table.products.cosine, LEAST), title, norm=LogNorm(LEAST, 1))
    axes.set(ylabel="step")


def _growth(axes: Any, table: TrajectoryTable, title: str) -> None:
    """A line, on it a full point for every step that an audit measured, a hollow one where a law stands in for it."""
    growth = table.growth.to_end
    axes.plot(growth, color="C0")
    for measured, face, said in ((True, "C0", "measured by audits"), (False, "white", "by a law, without an audit")):
        steps = np.flatnonzero((table.growth.count > 0) == measured)
        if len(steps):
            axes.plot(steps, growth[steps], "o", color="C0", markerfacecolor=face, markersize=4, label=said)
    axes.legend(fontsize=8)
    axes.set(title=title, xlabel="step", ylabel="at the end / there")
    axes.title.set_fontsize(8)


def _matrix(axes: Any, values: Any, title: str, **scale: Any) -> None:
    image = axes.imshow(values, aspect="auto", origin="lower", cmap="viridis", **scale)
    axes.set(title=title, xlabel="step")
    axes.title.set_fontsize(8)
    axes.figure.colorbar(image, ax=axes)
