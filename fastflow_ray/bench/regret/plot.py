"""Regret as a picture: what is lost now, what was lost so far, and what learning cost. Knows no simulation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fastflow_ray.atomic_file import replacing
from fastflow_ray.bench.plot import FAINT, INK, dress
from fastflow_ray.bench.regret.learning import NEAR_DB, Fleet
from fastflow_ray.bench.regret.simulation import Order
from fastflow_ray.counted import counted

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B0508A", "#56B4E9")  # Okabe and Ito's
LOOKS = tuple((colour, dash) for dash in ("-", "--", ":") for colour in COLOURS)
PUBLISHED = ("#8A6D00", "-")
MOMENTS = 400  # at which a curve over time is looked at


def draw(order: Order, fleets: Sequence[Fleet], level: float, path: Path) -> None:
    """Write a PNG of four panels; raises FastFlowError if it cannot be written."""
    figure = Figure(figsize=(14, 9.2), layout="constrained")
    now, by_job, by_time, cost = figure.subplots(2, 2).flatten()
    planned = fleets[:-1]
    now.axhspan(0, level + NEAR_DB, color=FAINT, alpha=0.6, linewidth=0)
    now.annotate(
        f"grey: within {NEAR_DB:g} dB of where they settle", (0.99, 0.02), xycoords="axes fraction",
        ha="right", va="bottom", color="#666666", fontsize=9,
    )  # fmt: skip
    looks = [*islice(cycle(LOOKS), len(planned)), PUBLISHED]
    for fleet, look in zip(planned, looks, strict=False):
        times = np.linspace(0, max(fleet.horizon, 1.0), MOMENTS)
        regrets = [fleet.regret_at(time) for time in times]
        _line(now, times, [np.nan if regret is None else regret for regret in regrets], look, fleet.label)
        _line(by_time, times, [fleet.total_regret_at(time) for time in times], look, fleet.label)
        _line(cost, range(1, fleet.jobs + 1), fleet.learning, look, fleet.label)
    for fleet, look in zip(fleets, looks, strict=True):
        _line(by_job, range(1, fleet.jobs + 1), fleet.total_regret, look, _told(fleet, fleet in planned))
    _dress(now, "What is served then falls short by, dB", "time, in jobs that only walk their plan")
    _dress(by_job, "Lost so far, dB summed over jobs", "jobs of the whole fleet")
    _dress(by_time, "Lost so far by each worker, dB", "time, in jobs that only walk their plan")
    _dress(cost, "Evaluations spent on learning so far", "jobs of the whole fleet")
    by_job.set_ylim(0, 1.25 * max(fleet.total_regret[-1] for fleet in planned))  # FastFlow's leaves the frame
    now.set_xscale("log")
    now.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    now.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    now.xaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(_title(order), x=0.01, ha="left", fontsize=13, color=INK)
    with replacing(path) as sibling:
        figure.savefig(sibling, format="png", dpi=130)


def _title(order: Order) -> str:
    return (
        f"Regret against the best plan in hindsight: {order.evaluations} of {order.steps} steps evaluated,"
        f" {order.jobs} jobs, mean of {counted(order.worlds, 'world')}, reports late by {order.delay:g}"
    )


def _told(fleet: Fleet, is_planned: bool) -> str:
    return fleet.label if is_planned else f"{fleet.label}\n({fleet.evaluations:.1f} evaluated)"


def _line(axes: Any, across: Any, up: Sequence[float], look: tuple[str, str], label: str) -> None:
    colour, dash = look
    axes.plot(across, up, color=colour, linestyle=dash, linewidth=2.0, label=label, drawstyle="steps-post")
    axes.plot(across[-1], up[-1], "o", color=colour, markersize=6)


def _dress(axes: Any, title: str, across: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_ylim(bottom=0)
    dress(axes, across)
    axes.legend(frameon=False, labelcolor="linecolor", fontsize=10)
