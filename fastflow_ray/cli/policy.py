"""`policy show`: what a fleet, or a file, has learnt about skipping, as numbers, a table or a picture."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from fastflow_ray.cli import options as given
from fastflow_ray.cli.destination import check_destination
from fastflow_ray.cli.policy_file import read_statistics
from fastflow_ray.cli.program import Program
from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.display.fitting import InParts
from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.settings import Settings

if TYPE_CHECKING:
    from fastflow_ray.bandit.arm_table import ArmTable
    from fastflow_ray.bandit.statistics import Statistics
    from fastflow_ray.bandit.trajectory import TrajectoryTable

app = Program()

File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="Read what `generate --policy` keeps, not the fleet's.")
]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Also draw what was learnt into a picture.")]


@app.callback()
def policy() -> None:
    """What was learnt about skipping."""


@app.command()
def show(file: File = None, plot: Plot = None, json: given.AsJson = False, redis: given.RedisUrl = None) -> None:
    """Tell what was learnt about skipping, a table per policy key.

    Of skips, which are FastFlow's as published, a row per step:
      mu         what a skipped step is worth, in units of mean squared error
      skip N     how often N steps were skipped after this one × the mean
                 squared error of the velocities predicted there

    Of trajectories, from which plans are drawn up, a row per step:
      velocity   its root mean square, over the coordinates of the latents
      as before  its cosine with the velocity of the step before, 1: the same
      growth     times by which a deviation there has grown at the end; ~ where
                 no audit measured the step, and a law stands in for it
      audits     how many of them measured that growth
      response   where x is moved, 1: the velocity turns, so that it points to
                 the same sample; 0: it stays as it was
      missed dB  by which errors of predictions exceeded what was expected
      seen       how many predictions showed it
    Above it, what smooth predictions keep beyond those as learnt, and whether
    they are made.
    """
    if file and redis:
        raise InvalidInput("--file and --redis are two places to read from; give only one of them")
    if plot:
        check_destination(plot, ".png")
    statistics = read_statistics(file) if file else _of_fleet(redis or Settings.from_environment().redis_url)
    if plot:
        from fastflow_ray.cli.policy_plot import draw

        draw(statistics, plot)
        console(stderr=True).print(f"drawn into {plot}", highlight=False, soft_wrap=True)
    if json:
        print(statistics.to_json())
    elif not statistics:
        console().print("nothing was learnt yet")
    else:
        for key, table in sorted(statistics.tables.items()):
            calibrations = counted(table.scale_runs, "of them a calibration", "of them calibrations")
            learnt = f"{counted(table.runs, 'generation')}, {calibrations}, mu = {table.mu:.3g}"
            _print(key, learnt, table_of_arms(table))
        for key, trajectories in sorted(statistics.trajectories.items()):
            _print(key, _learnt(trajectories), table_of_trajectories(trajectories))


def table_of_arms(table: ArmTable) -> Table:
    """A row per step that was ever pulled, a column per arm: pulls and, below a skip's length, its mean error."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("step", justify="right")
    for arm in table.arms:
        shown.add_column(f"skip {arm}", justify="right")
    mean_error = table.mean_error
    for step in range(table.steps):
        if table.pulls[step].any():
            cells = (_cell(int(n), float(e)) for n, e in zip(table.pulls[step], mean_error[step], strict=True))
            shown.add_row(str(step), *cells)
    return shown


def table_of_trajectories(table: TrajectoryTable) -> Table:
    """A row per step: the velocity's root mean square, its cosine with that of the step before; the factor by which a
    deviation present there has grown at the end, with the audits that measured it; how the velocity responds where x
    is moved, 1 for a sample that stays; and by how many dB predictions missed there and nearby beyond what was
    expected, with the evaluations there that showed it."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("step", "velocity", "as before", "growth", "audits", "response", "missed dB", "seen"):
        shown.add_column(heading, justify="right")
    sizes = map("{:.3f}".format, table.products.mean.diagonal() ** 0.5)
    alike = ["", *map("{:.4f}".format, table.products.cosine.diagonal(1))]
    marks = ("" if audits else "~" for audits in table.growth.count)
    growth = map("{}{:.2f}".format, marks, table.growth.to_end[:-1])
    excess_db = map("{:+.1f}".format, table.misses.excess_db[:-1])
    response = map("{:.2f}".format, table.response.share)
    audits, seen = map(str, table.growth.count), map(str, table.misses.count)
    columns = (sizes, alike, growth, audits, response, excess_db, seen)
    for step, cells in enumerate(zip(*columns, strict=True)):
        shown.add_row(str(step), *cells)
    return shown


def _learnt(table: TrajectoryTable) -> str:
    """How many trajectories there were, and whether predictions are smoother than those say."""
    walked = f"{counted(table.runs, 'trajectory', 'trajectories')}, {table.full_runs} of them in full"
    if not table.smoothing.audits:
        return walked
    heard = counted(table.smoothing.audits, "audit")
    gained_db = table.smoothing.gain_sum / table.smoothing.audits
    made = ", and are made" if table.smoothing.pays else ""
    return f"{walked}; smooth predictions keep {gained_db:+.1f} dB in {heard}{made}"


def _of_fleet(redis_url: str) -> Statistics:
    """Every model's fleet keeps its own; a policy key names its model, so that they can be shown together."""
    from fastflow_ray.bandit.statistics import Statistics
    from fastflow_ray.queue.statistics_store import StatisticsStore

    texts: list[str] = []
    for model in catalogue():
        with closing(StatisticsStore(redis_url, model)) as kept:
            texts += kept.load().documents.values()
    return Statistics.sum_of(texts)


def _cell(pulls: int, mean_error: float) -> Text:
    return Text(f"{pulls} × {mean_error:.2e}") if pulls else Text("·", "bright_black")


def _print(key: str, learnt: str, table: Table) -> None:
    console().print(Text.assemble((key, "bold"), f"\n{learnt}"), soft_wrap=True)  # a key has to stay whole
    console().print(InParts(table))
