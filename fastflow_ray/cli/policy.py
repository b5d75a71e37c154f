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
from fastflow_ray.cli.output import console
from fastflow_ray.cli.policy_file import read_statistics
from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.catalogue import CATALOGUE
from fastflow_ray.settings import Settings

if TYPE_CHECKING:
    from fastflow_ray.bandit.arm_table import ArmTable
    from fastflow_ray.bandit.statistics import ArmStatistics

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="Read what `generate --policy` keeps, not the fleet's.")
]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Also draw pulls and errors into a picture.")]


@app.callback()
def policy() -> None:
    """What was learnt about skipping."""


@app.command()
def show(file: File = None, plot: Plot = None, json: given.AsJson = False, redis: given.RedisUrl = None) -> None:
    """Per policy key, how often each skip was tried after each step and what it cost (mean squared velocity error)."""
    if file and redis:
        raise InvalidInput("--file and --redis are two places to read from; give only one of them")
    statistics = read_statistics(file) if file else _of_fleet(redis or Settings.from_environment().redis_url)
    if plot:
        from fastflow_ray.cli.policy_plot import draw

        draw(statistics, plot)
    if json:
        print(statistics.to_json())
    elif not statistics.tables:
        console().print("nothing was learnt yet")
    else:
        for key, table in sorted(statistics.tables.items()):
            console().print(_headline(key, table), soft_wrap=True)  # a key has to stay whole
            console().print(table_of_arms(table))


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


def _of_fleet(redis_url: str) -> ArmStatistics:
    """Every model's fleet keeps its own; a policy key names its model, so that they can be shown together."""
    from fastflow_ray.bandit.statistics import ArmStatistics
    from fastflow_ray.queue.statistics_store import StatisticsStore

    texts: list[str] = []
    for model in CATALOGUE:
        with closing(StatisticsStore(redis_url, model)) as kept:
            tables, _ = kept.load()
        texts += tables.values()
    return ArmStatistics.sum_of(texts)


def _cell(pulls: int, mean_error: float) -> Text:
    return Text(f"{pulls} × {mean_error:.2e}") if pulls else Text("·", "bright_black")


def _headline(key: str, table: ArmTable) -> Text:
    learnt = f"{table.runs} generations, {table.scale_runs} of them calibrations, mu = {table.mu:.3g}"
    return Text.assemble((key, "bold"), f"\n{learnt}")
