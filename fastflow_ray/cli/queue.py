"""`queue`: what the operator of a fleet orders. Speaks to Redis; the HTTP API is for those who want videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from fastflow_ray.cli.options import AsJson, RedisUrl
from fastflow_ray.cli.output import console, print_json
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.opening import open_desk
from fastflow_ray.queue.share import EVERYBODY, Share
from fastflow_ray.settings import Settings

Model = Annotated[str, typer.Option(help="Whose queue.")]
MaxRunning = Annotated[int | None, typer.Option(help="So many of its jobs at a time; 0 stops it. Default: no limit.")]
MaxQueued = Annotated[int | None, typer.Option(help="So many of its jobs may wait. Default: no limit.")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Operate a queue: who gets how much of it.")


@contextmanager
def desk_of(model: str, redis: str | None) -> Iterator[QueueDesk]:
    """The desk of a model's queue, closed again."""
    with closing(open_desk(redis or Settings.from_environment().redis_url, model)) as desk:
        yield desk


@app.command()
def share(
    tenant: Annotated[str | None, typer.Argument(help=f"'{EVERYBODY}' for all without a share of their own.")] = None,
    weight: Annotated[float | None, typer.Option(help="Of two tenants, 2 is served twice what 1 is.")] = None,
    max_running: MaxRunning = None,
    max_queued: MaxQueued = None,
    model: Model = "shapes",
    json: AsJson = False,
    redis: RedisUrl = None,
) -> None:
    """Set what a tenant may take, in place of what was set before; without a tenant, show all shares."""
    with desk_of(model, redis) as desk:
        if tenant is not None:
            desk.set_share(tenant, Share(weight, max_running, max_queued))
        shares = desk.shares()
    if json:
        print_json({name: vars(each) for name, each in shares.items()})
    elif shares:
        rows = [[name, *vars(each).values()] for name, each in shares.items()]
        console().print(_table(["tenant", "weight", "running", "queued"], rows))
    else:
        print("all tenants share alike")


def _table(header: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in header:
        table.add_column(heading)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table
