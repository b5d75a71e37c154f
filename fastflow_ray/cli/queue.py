"""`queue`: what the operator of a fleet orders. Speaks to Redis; the HTTP API is for those who want videos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from fastflow_ray.cli.options import AsJson, RedisUrl, refused_by_option
from fastflow_ray.cli.output import print_json
from fastflow_ray.cli.program import Program
from fastflow_ray.client import POLL_S
from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.catalogue import catalogue, model_card
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.event import Event
from fastflow_ray.queue.event_reader import EventReader
from fastflow_ray.queue.opening import open_desk
from fastflow_ray.queue.share import EVERYBODY, Share
from fastflow_ray.settings import Settings

Model = Annotated[str, typer.Option(help="Whose queue.")]
MaxRunning = Annotated[int | None, typer.Option(help="So many of its jobs at a time; 0 stops it. Default: no limit.")]
MaxQueued = Annotated[int | None, typer.Option(help="So many of its jobs may wait. Default: no limit.")]
Reason = Annotated[str, typer.Argument(help="Shown to all whose jobs wait.")]

MEANINGS = {  # of the numbers of Books
    "queued": "wait for a worker",
    "delayed": "wait for their time",
    "running": "are with a worker",
    "succeeded": "ended with a video",
    "dead": "ended without one; `queue redrive` tries them again",
    "cancelled": "ended as was wished",
    "submitted": "all that ever came",
    "forgotten": "deleted on request, or purged",
    "expired": "deleted some time after their end",
    "struck": "deleted by hand, behind the queue's back",
    "listed": "what `list` shows: all of the six states",
    "ready": "what workers find: the queued ones",
    "waiting": "by the tenants' counts: the queued and the delayed ones",
    "working": "by the tenants' counts: the running ones",
}

app = Program(help="Operate a queue.")


@contextmanager
def desk_of(model: str, redis: str | None) -> Iterator[QueueDesk]:
    """The desk of a model's queue, closed again; raises UnknownModel for one that no fleet serves."""
    with closing(open_desk(redis or Settings.from_environment().redis_url, model)) as desk:
        _check_known(model, desk)
        yield desk


@app.command()
def share(
    ctx: typer.Context,
    tenant: Annotated[str | None, typer.Argument(help=f"'{EVERYBODY}' for all without a share of their own.")] = None,
    weight: Annotated[
        float | None,
        typer.Option(help=f"Of two tenants, 2 is served twice what 1 is. Default: that of '{EVERYBODY}', or 1."),
    ] = None,
    max_running: MaxRunning = None,
    max_queued: MaxQueued = None,
    model: Model = "shapes",
    json: AsJson = False,
    redis: RedisUrl = None,
) -> None:
    """Set what a tenant may take, in place of what was set before; without a tenant, show all shares."""
    with refused_by_option(ctx, [number.name for number in fields(Share)]):
        asked = Share(weight, max_running, max_queued)
    with desk_of(model, redis) as desk:
        if tenant is not None:
            desk.set_share(tenant, asked)
        shares = desk.shares()
    if json:
        print_json({name: vars(each) for name, each in shares.items()})
    elif shares:
        rows = [[name, *vars(each).values()] for name, each in shares.items()]
        console().print(_table(["tenant", "weight", "max running", "max queued"], rows))
    else:
        print("all tenants share alike")


@app.command()
def pause(reason: Reason = "by its operator", model: Model = "shapes", redis: RedisUrl = None) -> None:
    """Give out no more jobs and tell everybody why; what runs goes on, and submits are taken."""
    with desk_of(model, redis) as desk:
        desk.pause(reason)


@app.command()
def resume(model: Model = "shapes", redis: RedisUrl = None) -> None:
    """Give out jobs again."""
    with desk_of(model, redis) as desk:
        desk.resume()


@app.command()
def redrive(
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One dead job; or --all.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are dead.")] = False,
    model: Model = "shapes",
    redis: RedisUrl = None,
) -> None:
    """Queue dead jobs again, with fresh attempts."""
    if (job_id is None) is not everything:
        raise InvalidInput("say which: the ID of one dead job, or --all")
    if job_id is None:
        with desk_of(model, redis) as desk:
            print(f"{counted(desk.redrive_all(), 'job')} queued again")
    else:
        with desk_of(model, redis), _queue_of(model, redis) as queue:
            if not queue.redrive(job_id):
                raise InvalidInput(f"{job_id[:80]!r} is no dead job of {model}; `fastflow-ray list --state dead`")
        print(f"{job_id} queued again")


@app.command()
def purge(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    model: Model = "shapes",
    redis: RedisUrl = None,
) -> None:
    """Delete the records of all dead jobs; there is no way back."""
    with desk_of(model, redis) as desk:
        dead = desk.books().dead
        if dead and not yes and not typer.confirm(f"delete {counted(dead, 'dead job')} of {model} for good?"):
            raise typer.Exit(1)
        print(f"{counted(desk.purge(), 'job')} deleted")


@app.command()
def check(model: Model = "shapes", json: AsJson = False, redis: RedisUrl = None) -> None:
    """Prove that no job of a model was lost: each is in one state or accounted for. Exits with 1 if not."""
    with desk_of(model, redis) as desk:
        books = desk.books()
    complaints = list(books.complaints())
    if json:
        print_json({"model": model, **vars(books), "complaints": complaints})
    else:
        rows = [[name, number, MEANINGS[name]] for name, number in vars(books).items()]
        console().print(_table(["counted", f"jobs of {model}", ""], rows))
        print(*(complaints or ["the books balance"]), sep="\n")
    raise typer.Exit(int(bool(complaints)))


def events(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the latest come first.")] = 20,
    model: Model = "shapes",
    json: AsJson = False,
    redis: RedisUrl = None,
) -> None:
    """Tell what happens to the jobs of a queue, a line per change of state."""
    with desk_of(model, redis) as desk, _queue_of(model, redis) as queue:
        reader = EventReader(queue, desk, limit)
        while True:
            for event in reader.read():
                print_json(asdict(event)) if json else print(_line(event), flush=True)
            if not follow:
                return
            time.sleep(POLL_S)


@contextmanager
def _queue_of(model: str, redis: str | None) -> Iterator[JobQueue]:
    with closing(open_queue(redis or Settings.from_environment().redis_url, model)) as queue:
        yield queue


def _check_known(model: str, desk: QueueDesk) -> None:
    """Raise UnknownModel unless it is of the catalogue, or had jobs: a fleet of another version may serve it."""
    if model not in catalogue() and not desk.books().submitted:
        model_card(model)


def _line(event: Event) -> str:
    at = datetime.fromtimestamp(event.at_s).isoformat(sep=" ", timespec="milliseconds")
    words = [at, event.job_id, str(event.state)]
    if event.attempt:
        words.append(f"attempt {event.attempt} by {event.worker}")
    if event.why not in ("", event.state):
        words.append(event.why)
    return "  ".join(words)


def _table(header: list[str], rows: list[list[Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in header:
        table.add_column(heading)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    return table
