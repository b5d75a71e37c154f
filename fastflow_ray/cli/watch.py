"""`watch`: follow jobs until they end; a live table on a terminal, elsewhere a plain line for each change of state."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from fastflow_ray.cli.options import ApiUrl, RedisUrl, StoreUrl, connect
from fastflow_ray.client import POLL_S, Client, Job
from fastflow_ray.display.advance import advance
from fastflow_ray.display.console import console
from fastflow_ray.display.jobs import job_line, jobs_table
from fastflow_ray.display.words import model_of
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.patience import Patience
from fastflow_ray.queue.contract import JobRecord

MOST_JOBS = 100  # followed when no id is given
WAITING = (JobState.QUEUED, JobState.DELAYED)


def watch(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Default: all that have not ended.")
    ] = None,
    redis: RedisUrl = None,
    store: StoreUrl = None,
    api: ApiUrl = None,
) -> None:
    """Follow jobs until they have ended: step by step on a terminal, where steps after a plus are of an audit.

    Elsewhere each has a line for every state and phase. Exits with 1 if one of them has no video.
    """
    with connect(redis, store, api) as fleet:
        unended = [] if ids else [job.job_id for job in fleet.jobs(MOST_JOBS) if job.state not in TERMINAL]
        jobs = [fleet.job(job_id) for job_id in ids or reversed(unended)]
        if not jobs:
            console().print("no job is waiting or running")
            return
        tell_obstacles(fleet, jobs)
        records = follow(jobs, console())
    raise typer.Exit(exit_code(records))


def follow(jobs: Sequence[Job], screen: Console, poll_s: float = POLL_S) -> list[JobRecord]:
    """Show the jobs until all have ended; their last records. A quiet console shows nothing and waits all the same."""
    if screen.is_terminal and not screen.quiet:
        return _redrawn(_looks(jobs, poll_s), screen)
    return _as_lines(_looks(jobs, poll_s), screen)


def tell_obstacles(fleet: Client, jobs: Sequence[Job]) -> None:
    """Say on standard error why those that wait would wait in vain just now: nobody serves their model, or a pause."""
    waiting = {model_of(record) for job in jobs if (record := job.status()).state in WAITING}
    for service in fleet.services() if waiting else ():
        if service.model in waiting and (obstacle := service.obstacle()):
            print(obstacle, file=sys.stderr)


def exit_code(records: Sequence[JobRecord]) -> int:
    """0 if every job has a video."""
    return int(any(record.state is not JobState.SUCCEEDED for record in records))


def _looks(jobs: Sequence[Job], poll_s: float) -> Iterator[list[JobRecord]]:
    patience = Patience()
    while True:
        records = patience.ask(lambda: [job.status() for job in jobs])
        if records is not None:
            yield records
            if all(record.state in TERMINAL for record in records):
                return
        time.sleep(poll_s)


def _redrawn(looks: Iterator[list[JobRecord]], screen: Console) -> list[JobRecord]:
    records: list[JobRecord] = []
    with Live(console=screen, auto_refresh=False) as live:
        for records in looks:
            live.update(jobs_table(records), refresh=True)
    return records


def _as_lines(looks: Iterator[list[JobRecord]], screen: Console) -> list[JobRecord]:
    records: list[JobRecord] = []
    told: dict[str, tuple[object, ...]] = {}
    for records in looks:
        for record in records:
            if told.get(record.job_id) != (stage := _stage(record)):
                told[record.job_id] = stage
                screen.print(job_line(record), markup=False, highlight=False, soft_wrap=True)
    return records


def _stage(record: JobRecord) -> tuple[object, ...]:
    return record.state, record.silent, record.back_in_s is None, advance(record).phase
