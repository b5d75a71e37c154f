"""Comparisons as tables, for terminals and for Markdown. Knows text only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from fastflow_ray.bench.compare import Curve, Point, at_work
from fastflow_ray.bench.comparison import OURS, Comparison
from fastflow_ray.bench.measurement import FULL
from fastflow_ray.counted import counted

NOTHING = "·"


@dataclass(frozen=True)
class Grid:
    """Cells of text; the first column is words, the others are numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_rich(self) -> Table:
        """For a terminal; our rows stand out."""
        title = Text(self.title, "bold")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, min_width=title.cell_len)
        for place, name in enumerate(self.header):
            table.add_column(name, justify="right" if place else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row, style="bold green" if row[0].startswith(OURS) else "")
        return table

    def to_markdown(self) -> str:
        """For a document."""
        rows = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return "\n".join([f"### {self.title}", "", *("| " + " | ".join(row) + " |" for row in rows)])


def at_equal_work(comparison: Comparison) -> Grid:
    """A row per method, a column per budget: mean / worst prompt in dB."""
    works = comparison.works
    header = ["dB, mean / worst prompt", *(f"{work} of {comparison.regime.steps}" for work in works)]
    ranked = sorted(comparison.curves, key=lambda each: _rank(each, works), reverse=True)
    rows = [[each.label, *(_at(each, work) for work in works)] for each in ranked]
    if comparison.ours:
        leads = [comparison.lead(work) for work in works]
        rows.append(["lead over the best peer", *(f"{ahead[0]:+.1f}" if ahead else NOTHING for ahead in leads)])
        rows.append(["which is", *(ahead[1] if ahead else NOTHING for ahead in leads)])
    prompts = counted(comparison.full.prompts, "prompt")
    return Grid(f"{comparison.regime}: PSNR at equal work, {prompts}", header, rows)


def every_point(comparison: Comparison) -> Grid:
    """A row per setting, as it was measured."""
    header = [
        "method", "setting", "evaluations", "wall s", "× faster", "cpu s", "PSNR mean", "median", "worst",
        "SSIM mean", "worst", "latent PSNR mean", "worst", "learning",
    ]  # fmt: skip
    rows = [_row(FULL, comparison.full, comparison.full)]
    rows += [_row(each.label, point, comparison.full) for each in comparison.curves for point in each.points]
    return Grid(f"{comparison.regime}: every setting", header, rows)


def remarks(comparison: Comparison) -> list[str]:
    """A line for every method of one point, and for every method and setting that is no row."""
    lines = [_lone(each) for each in comparison.curves if len(each.points) == 1]
    lines += [f"{label}: not applicable: {why}" for label, why in comparison.absent.items()]
    return lines + [f"{label}: left out: {'; '.join(why)}" for label, why in comparison.idle.items()]


def _lone(each: Curve) -> str:
    point = each.points[0]
    fidelity = f"{point.psnr_db.mean:.1f} / {point.psnr_db.worst:.1f} dB"
    return f"{each.label}: one point, {fidelity} at {point.evaluations:.1f} evaluations"


def _rank(each: Curve, works: Sequence[int]) -> tuple[int, float]:
    """Those that reach most budgets first, by their mean there."""
    found = [there.mean for work in works if (there := at_work(each.points, work))]
    return len(found), sum(found) / len(found) if found else 0.0


def _at(each: Curve, work: float) -> str:
    there = at_work(each.points, work)
    return f"{there.mean:.1f} / {there.worst:.1f}" if there else NOTHING


def _row(label: str, point: Point, full: Point) -> list[str]:
    cost = [
        f"{point.evaluations:.1f}",
        f"{point.wall_s:.2f}",
        f"{full.wall_s / point.wall_s:.2f}",
        f"{point.cpu_s:.2f}",
    ]
    if label == FULL:
        return [label, "", *cost, "reference", *[NOTHING] * 7]
    fidelity = [point.psnr_db.mean, point.psnr_db.median, point.psnr_db.worst]
    likeness = [f"{point.ssim.mean:.4f}", f"{point.ssim.worst:.4f}"]
    latent = [point.latent_psnr_db.mean, point.latent_psnr_db.worst]
    learning = f"{point.learning_evaluations:.0f}" if point.learning_evaluations else NOTHING
    return [
        label, point.setting, *cost, *(f"{value:.1f}" for value in fidelity), *likeness,
        *(f"{value:.1f}" for value in latent), learning,
    ]  # fmt: skip
