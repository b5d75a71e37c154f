"""A comparison as a picture: fidelity against work, and against time. Knows no measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fastflow_ray.atomic_file import replacing
from fastflow_ray.bench.compare import Curve, Point
from fastflow_ray.bench.comparison import OURS, Comparison

# Okabe and Ito's colours, which the colour-blind tell apart; ours keeps the warmest to itself.
OURS_COLOUR = "#D55E00"
COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#8A6D00", "#555555")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#222222", "#DDDDDD"
LABEL_PT = 9.5


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG of two panels; raises FastFlowError if it cannot be written."""
    figure = Figure(figsize=(15, 7.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, comparison, lambda point: point.evaluations, f"evaluations, of {comparison.regime.steps}")
    _panel(right, comparison, lambda point: point.wall_s, "seconds of sampling, median over prompts")
    left.set_ylabel("PSNR against the full run, dB: mean over prompts, bars from quartile to quartile", color=INK)
    right.axvline(comparison.full.wall_s, color=INK, linewidth=0.8, linestyle=":")
    title = f"{comparison.regime}  ·  {comparison.full.prompts} prompts  ·  dashed: each method's worst prompt"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=130)


def _panel(axes: Any, comparison: Comparison, x: Callable[[Point], float], name: str) -> None:
    _dress(axes, name)
    for place, each in enumerate(comparison.peers):
        color, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        _line(axes, each, x, width=1.4, size=5, color=color, marker=marker)
    mine = [each for each in comparison.curves if each.method == OURS]
    for each in mine:
        best = each is comparison.ours
        _line(axes, each, x, width=3.2 if best else 1.8, size=8 if best else 5, color=OURS_COLOUR, marker="o", above=5)
    _label(axes, [*comparison.peers, *mine], x)


def _line(
    axes: Any, each: Curve, x: Callable[[Point], float], *, width: float, size: float, color: str, marker: str,
    above: int = 2,
) -> None:  # fmt: skip
    across = [x(point) for point in each.points]
    means = [point.psnr_db.mean for point in each.points]
    below = [max(0.0, point.psnr_db.mean - point.psnr_db.low) for point in each.points]
    over = [max(0.0, point.psnr_db.high - point.psnr_db.mean) for point in each.points]
    worst = [point.psnr_db.worst for point in each.points]
    axes.errorbar(across, means, yerr=(below, over), fmt="none", ecolor=color, elinewidth=0.8, alpha=0.35, zorder=above)
    axes.plot(across, means, color=color, marker=marker, linewidth=width, markersize=size, zorder=above + 1)
    axes.plot(across, worst, color=color, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.55, zorder=above - 1)


def _dress(axes: Any, name: str) -> None:
    axes.set_xlabel(name, color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")


def _label(axes: Any, curves: Sequence[Curve], x: Callable[[Point], float]) -> None:
    """Every curve's name in its colour, in a column right of the panel, tied to the curve's last point."""
    lines = {id(each): line for each, line in zip(curves, axes.lines[::2], strict=True)}
    bottom, top = axes.get_ylim()
    height_pt = axes.figure.get_figheight() * 72 * 0.8
    ends = sorted(curves, key=lambda each: each.points[-1].psnr_db.mean)
    wanted = [each.points[-1].psnr_db.mean for each in ends]
    heights = spread(wanted, gap=(top - bottom) * LABEL_PT * 1.35 / height_pt, low=bottom, high=top)
    for each, height in zip(ends, heights, strict=True):
        end, line = each.points[-1], lines[id(each)]
        axes.annotate(
            each.label,
            xy=(x(end), end.psnr_db.mean),
            xytext=(1.03, height),
            textcoords=("axes fraction", "data"),
            color=line.get_color(),
            fontsize=LABEL_PT,
            fontweight="bold" if each.method == OURS else "normal",
            va="center",
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.5, "alpha": 0.4, "shrinkB": 4},
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Rising places close to the rising `wanted`, at least `gap` apart, and within [low, high] if they fit."""
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap if places else low))
    ceiling = max(high, low + gap * (len(places) - 1))
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - gap
    return places
