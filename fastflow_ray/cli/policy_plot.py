"""Arm statistics as a picture: for every policy key, pulls and mean error over steps and arms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fastflow_ray.atomic_file import replacing

if TYPE_CHECKING:
    from fastflow_ray.bandit.arm_table import ArmTable
    from fastflow_ray.bandit.statistics import ArmStatistics


def draw(statistics: ArmStatistics, path: Path) -> None:
    """Write a PNG with two matrices per key; raises FastFlowError if it cannot be written."""
    tables = sorted(statistics.tables.items())
    figure = Figure(figsize=(11, 2.6 * max(len(tables), 1)), layout="constrained")
    axes = figure.subplots(max(len(tables), 1), 2, squeeze=False)
    for (key, table), (pulls, errors) in zip(tables, axes, strict=False):
        _matrix(pulls, table, table.pulls, f"{key}\npulls")
        _matrix(errors, table, table.mean_error, f"{table.runs} generations\nmean error", norm=LogNorm())
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=120)


def _matrix(axes: Any, table: ArmTable, values: Any, title: str, **scale: Any) -> None:
    image = axes.imshow(values.T, aspect="auto", origin="lower", cmap="viridis", **scale)
    axes.set(title=title, xlabel="step", ylabel="steps skipped", yticks=range(len(table.arms)))
    axes.set_yticklabels(table.arms)
    axes.title.set_fontsize(8)
    axes.figure.colorbar(image, ax=axes)
