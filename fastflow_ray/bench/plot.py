"""A comparison as a picture: fidelity against work, and against time. Knows no measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from fastflow_ray.atomic_file import replacing
from fastflow_ray.bench.compare import Curve, Point, frontier
from fastflow_ray.bench.comparison import OURS, Comparison
from fastflow_ray.counted import counted

# Okabe and Ito's colours, which the colour-blind tell apart: one per family, ours keeps the warmest to itself.
FAMILIES = {
    OURS: "#D55E00",
    "euler": "#0072B2",
    "unipc": "#0072B2",
    "dpm++2m": "#0072B2",
    "flowturbo": "#0072B2",
    "fastflow": "#8A6D00",
    "fastflow-uniform": "#8A6D00",
    "seacache": "#009E73",
    "taylorseer": "#009E73",
    "taylorseer-lite": "#009E73",
    "cache-dit": "#B0508A",
    "cache-dit-default": "#B0508A",
    "cache-dit-taylorseer": "#B0508A",
}
OTHERS = "#6E6E6E"  # caches that reuse without predicting
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#222222", "#E2E2E2"
LABEL_PT = 9.5
LEADER = {"arrowstyle": "-", "linewidth": 0.6, "alpha": 0.45, "shrinkB": 5, "relpos": (0, 0.5)}


@dataclass(frozen=True)
class Stroke:
    """How one curve is drawn."""

    colour: str
    marker: str
    weight: float  # 1 for peers, more for ours
    level: int  # what lies above what


def draw(comparison: Comparison, path: Path) -> None:
    """Write a PNG of two panels; raises FastFlowError if it cannot be written."""
    figure = Figure(figsize=(15.5, 8.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _panel(left, comparison, lambda point: point.evaluations, f"evaluations, of {comparison.regime.steps}")
    _panel(right, comparison, lambda point: point.wall_s, "seconds of sampling, median over prompts")
    right.axvline(comparison.full.wall_s, color=INK, linewidth=0.9, linestyle=":")
    right.annotate(
        "full run ", (comparison.full.wall_s, 0.01), xycoords=("data", "axes fraction"), ha="right", color=INK
    )
    left.set_ylabel("PSNR against the full run of the same seed, dB", color=INK)
    figure.suptitle(_title(comparison), x=0.01, ha="left", fontsize=13, color=INK)
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=130)


def _title(comparison: Comparison) -> str:
    marks = "line: best settings, mean over prompts; bar: quartiles; dashed: worst prompt; pale: settings outdone"
    return f"{comparison.regime}, {counted(comparison.full.prompts, 'prompt')}   ({marks})"


def _panel(axes: Any, comparison: Comparison, cost: Callable[[Point], float], name: str) -> None:
    dress(axes, name)
    curves = sorted(comparison.curves, key=lambda each: (each.method == OURS, each.learning))
    strokes = [_stroke(each, place, each is comparison.ours) for place, each in enumerate(curves)]
    for each, stroke in zip(curves, strokes, strict=True):
        _line(axes, each, cost, stroke)
    _label(axes, curves, strokes, cost)


def _stroke(each: Curve, place: int, best: bool) -> Stroke:
    colour, marker = FAMILIES.get(each.method, OTHERS), MARKERS[place % len(MARKERS)]
    if each.method == OURS:
        return Stroke(colour, "o", 2.4 if best else 1.5, 20 if best else 15)
    return Stroke(colour, marker, 1.0, 5)


def _line(axes: Any, each: Curve, cost: Callable[[Point], float], stroke: Stroke) -> None:
    best = frontier(each.points)  # in both panels the same
    outdone = [point for point in each.points if point not in best]
    across, means = [cost(point) for point in best], [point.psnr_db.mean for point in best]
    below = [max(0.0, point.psnr_db.mean - point.psnr_db.low) for point in best]
    above = [max(0.0, point.psnr_db.high - point.psnr_db.mean) for point in best]
    pen = {"color": stroke.colour, "zorder": stroke.level}
    axes.plot(
        across, means, marker=stroke.marker, linewidth=1.4 * stroke.weight, markersize=4 + 1.6 * stroke.weight, **pen
    )
    axes.plot(across, [point.psnr_db.worst for point in best], linewidth=0.8 * stroke.weight, linestyle=(0, (4, 3)),
              alpha=min(1.0, 0.3 * stroke.weight), **pen)  # fmt: skip
    axes.errorbar(
        across,
        means,
        (below, above),
        fmt="none",
        linewidth=0.8 * stroke.weight,
        alpha=min(1.0, 0.3 * stroke.weight),
        **pen,
    )
    axes.scatter(
        [cost(point) for point in outdone],
        [point.psnr_db.mean for point in outdone],
        marker=stroke.marker,
        s=22,
        alpha=0.25,
        **pen,
    )


def dress(axes: Any, across: str) -> None:
    """The look that all pictures of this room share: `across` below, faint lines to read heights by, no box."""
    axes.set_xlabel(across, color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")


def _label(axes: Any, curves: Sequence[Curve], strokes: Sequence[Stroke], cost: Callable[[Point], float]) -> None:
    """Every curve's name in its colour, in a column right of the panel, tied to the end of its line."""
    ends = {each.label: frontier(each.points)[-1] for each in curves}
    rising = sorted(zip(curves, strokes, strict=True), key=lambda pair: ends[pair[0].label].psnr_db.mean)
    bottom, top = axes.get_ylim()
    gap = (top - bottom) * LABEL_PT * 1.4 / (axes.figure.get_figheight() * 72 * 0.85)
    heights = spread([ends[each.label].psnr_db.mean for each, _ in rising], gap, bottom, top)
    for (each, stroke), height in zip(rising, heights, strict=True):
        end = ends[each.label]
        axes.annotate(
            each.label, (cost(end), end.psnr_db.mean), (1.03, height), textcoords=("axes fraction", "data"),
            color=stroke.colour, fontsize=LABEL_PT * (1.2 if stroke.weight > 2 else 1.0), va="center",
            fontweight="bold" if stroke.weight > 1 else "normal",
            arrowprops=LEADER | {"color": stroke.colour},
        )  # fmt: skip


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
