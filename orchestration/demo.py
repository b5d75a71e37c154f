"""`fastflow-ray demo`: a whole fleet on this machine makes eight videos and shows what it did and what it learnt.

Nothing is staged: the same queue, actors and model as everywhere, with a fleet whose statistics begin empty.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.cli.output import announced
from fastflow_ray.cli.policy_plot import draw
from fastflow_ray.cli.watch import exit_code, follow
from fastflow_ray.client import POLL_S, Client, Job
from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.display.words import prompt_of
from fastflow_ray.jobs.states import JobState
from fastflow_ray.media.contact_sheet import Clip, contact_sheet
from fastflow_ray.media.video import read_video
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.statistics_store import StatisticsStore
from orchestration.autoscale import Limits
from orchestration.demo_summary import summary_lines, summary_table
from orchestration.fleet_plan import FleetPlan
from orchestration.local_fleet import LocalFleet

PROMPTS = (
    "a small red circle moving left on a navy background",
    "a large yellow triangle rising up on a teal background",
    "a small white square drifting to the right over a brown background",
    "a large blue circle falling down on a gray background",
    "on a black background, a small orange triangle moves to the left",
    "a large green square standing still, navy background",
    "a small purple circle moving up on a teal background",
    "a large orange square sliding right over a black background",
)
AUDITED = 2  # the last jobs, when the fleet has learnt the most
FIRST_SEED = 7
SPEEDUP = 2.6  # asked for; whoever has learnt nothing yet evaluates every step
REPORTS_S = 10.0  # to wait for what the last jobs taught

Out = Annotated[Path, typer.Option(help="Folder for the videos and pictures.")]
Workers = Annotated[int, typer.Option(min=1, max=8, help="GPU workers, each pinned to one GPU, if only in name.")]
DashboardPort = Annotated[int | None, typer.Option("--dashboard", min=1024, help="Also serve Ray's dashboard here.")]


def demo(out: Out = Path("out/demo"), workers: Workers = 2, dashboard: DashboardPort = None) -> None:
    """Raise a local fleet, let it make eight videos, and show what came of it. Takes about a minute."""
    screen = console()
    out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="fastflow-demo-") as data,
        announced(screen, _raising(workers, dashboard)) as note,
        LocalFleet(Path(data), limits=Limits(workers, workers), dashboard_port=dashboard) as fleet,
    ):
        note.stop()
        ready_s = time.monotonic() - began_s
        screen.print(f"The fleet is up after {ready_s:.0f} s; it begins knowing nothing about skipping.")
        with Client(fleet.plan.redis_url, fleet.plan.store_url) as client:
            jobs = _submit(client)
            records = follow(jobs, screen)
            films = _fetch(jobs, records, out)
        learnt = _learnt(fleet.plan, len(films))
        note.update("Sending the workers home …")
        note.start()
    _show(screen, records, films, learnt, out)
    screen.print(f"All of it took {time.monotonic() - began_s:.0f} s.")
    raise typer.Exit(exit_code(records))


def _raising(workers: int, dashboard: int | None) -> str:
    where = f", Ray's dashboard at http://127.0.0.1:{dashboard}" if dashboard else ""
    return f"Raising a fleet: Valkey, Ray, statistics, supervisor, {counted(workers, 'worker')}{where} …"


def _submit(client: Client) -> list[Job]:
    audited = len(PROMPTS) - AUDITED
    return [
        client.submit(prompt, seed=FIRST_SEED + number, speedup=SPEEDUP, audit=number >= audited or None)
        for number, prompt in enumerate(PROMPTS)
    ]


def _fetch(jobs: Sequence[Job], records: Sequence[JobRecord], out: Path) -> dict[str, Path]:
    """Every finished video in `out`, by job id, named after its prompt."""
    films = {}
    for number, (job, prompt, record) in enumerate(zip(jobs, PROMPTS, records, strict=True), start=1):
        if record.state is JobState.SUCCEEDED:
            name = re.sub(r"[^a-z]+", "-", prompt.lower()).strip("-")
            films[job.id] = job.download(out / f"{number}-{name}.mp4")
    return films


def _learnt(plan: FleetPlan, generations: int) -> Statistics:
    """What the fleet knows once the reports of all finished jobs are in; they travel behind the jobs."""
    deadline_s = time.monotonic() + REPORTS_S
    with closing(StatisticsStore(plan.redis_url, plan.models[0])) as kept:
        while True:
            learnt = Statistics.sum_of(kept.load().documents.values())
            if sum(map(learnt.runs, learnt.keys)) >= generations or time.monotonic() > deadline_s:
                return learnt
            time.sleep(POLL_S)


def _show(screen: Console, records: Sequence[JobRecord], films: dict[str, Path], learnt: Statistics, out: Path) -> None:
    screen.print(summary_table(records))
    for line in summary_lines(records):
        screen.print(line)
    if films:
        sheet, matrix = out / "contact-sheet.png", out / "learnt.png"
        contact_sheet(titled(records, films), sheet)
        draw(learnt, matrix)
        videos = counted(len(films), "video")
        screen.print(f"\n{videos} in {out}, all on one sheet: {sheet}; what the fleet learnt: {matrix}")


def titled(records: Sequence[JobRecord], films: Mapping[str, Path]) -> list[Clip]:
    """Every film under its prompt."""
    return [(prompt_of(record), read_video(films[record.job_id])) for record in records if record.job_id in films]
