"""Commands about jobs of a fleet: submit, status, list, cancel, get."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fastflow_ray.cli import options as given
from fastflow_ray.cli.destination import check_destination
from fastflow_ray.cli.options import connect, job_fields, refused_by_option
from fastflow_ray.cli.output import print_json, record_json
from fastflow_ray.cli.watch import exit_code, follow, tell_obstacles
from fastflow_ray.client import Client, Job
from fastflow_ray.display.console import console
from fastflow_ray.display.jobs import job_card, jobs_table, listed_line
from fastflow_ray.display.workers import rests, workers_table
from fastflow_ray.errors import FastFlowError
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.states import JobState

IdempotencyKey = Annotated[
    str | None, typer.Option(metavar="KEY", help="Submitting again under the same key answers the job there is.")
]
Count = Annotated[int, typer.Option(min=1, max=1000, help="So many videos; after --seed, each takes the next one.")]
InLane = Annotated[
    Lane | None, typer.Option("--lane", help="An earlier one is served first, whoever asks. Default: standard.")
]
Priority = Annotated[int | None, typer.Option(help="0 to 255; of your own jobs the higher runs first. Default: 100.")]
Deadline = Annotated[
    float | None, typer.Option("--deadline", metavar="SECONDS", help="Of no use if not begun so long from now.")
]
Delay = Annotated[float | None, typer.Option("--delay", metavar="SECONDS", help="Not before so long from now.")]
Tenant = Annotated[str | None, typer.Option(help="Whose share of the fleet this takes. Default: the tenant 'default'.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the job to its end; exit with 1 if it has no video.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
State = Annotated[JobState | None, typer.Option(help="Only jobs in this state.")]
Thumbnail = Annotated[bool, typer.Option("--thumbnail", help="The still picture (png) instead of the video (mp4).")]


def submit(
    ctx: typer.Context,
    prompt: given.Prompt,
    model: given.Model = None,
    size: given.Size = None,
    width: given.Width = None,
    height: given.Height = None,
    frames: given.Frames = None,
    fps: given.Fps = None,
    steps: given.Steps = None,
    guidance: given.Guidance = None,
    shift: given.Shift = None,
    seed: given.Seed = None,
    negative_prompt: given.NegativePrompt = None,
    acceleration: given.Accelerated = None,
    evaluations: given.Evaluations = None,
    speedup: given.Speedup = None,
    fidelity_db: given.FidelityDb = None,
    preset: given.AsPreset = None,
    confidence: given.Confidence = None,
    audit: given.Audited = None,
    lane: InLane = None,
    priority: Priority = None,
    tenant: Tenant = None,
    delay_s: Delay = None,
    deadline_s: Deadline = None,
    idempotency_key: IdempotencyKey = None,
    count: Count = 1,
    wait: Wait = False,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """Put a video on the queue and print its id. With --json: one object per job and line."""
    fields = job_fields(ctx.params)
    with connect(redis, store, api) as fleet:
        with refused_by_option(ctx):
            jobs = [_acknowledged(job, json, wait) for job in _submitted(fleet, fields, idempotency_key, count)]
        with suppress(FastFlowError):  # the jobs are on the queue, whether or not this can be told
            tell_obstacles(fleet, jobs[-1:])
        if wait:
            _wait_for(jobs, json)


def status(
    job_id: given.JobId,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """Tell all about one job: state, progress, what was evaluated and skipped, its files or its error."""
    with connect(redis, store, api) as fleet:
        job = fleet.job(job_id)
        record = job.status()
        tell_obstacles(fleet, [job])
    if json:
        print_json(record_json(record))
    else:
        console().print(job_card(record))


def workers(
    json: given.AsJson = False, redis: given.RedisUrl = None, store: given.StoreUrl = None, api: given.ApiUrl = None
) -> None:
    """List the workers by model: what each computes on, what it does, which models it rests, when it was heard of.

    One that replaces another has its name.
    """
    with connect(redis, store, api) as fleet:
        services = fleet.services()
    if json:
        print_json({service.model: [asdict(card) for card in service.workers] for service in services})
    elif any(service.workers for service in services):
        screen = console()
        screen.print(workers_table(services, ids_below=screen.is_terminal))
        for line in rests(services):
            print(line)
    else:
        print("no worker serves any model; `fastflow-ray up` starts some")


def list_jobs(
    limit: Limit = 20,
    state: State = None,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """List jobs, the newest first: a table on a terminal, elsewhere a line each, which ends in its prompt.

    With --json: an array.
    """
    with connect(redis, store, api) as fleet:
        records = fleet.jobs(limit, state)
    if json:
        print_json([record_json(record) for record in records])
    elif (screen := console()).is_terminal:
        screen.print(jobs_table(records))
    else:
        print(*map(listed_line, records), sep="\n", end="\n" if records else "")


def cancel(
    job_id: given.JobId,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """Cancel a job: now if it waits, at its next step if it runs; one that has ended stays as it is."""
    with connect(redis, store, api) as fleet:
        state = fleet.job(job_id).cancel()
    if json:
        print_json({"id": job_id, "state": state})
    elif state is JobState.RUNNING:
        print(f"{job_id} stops at its next step")
    else:
        print(f"{job_id} {'is' if state is JobState.CANCELLED else 'had already'} {state}")


def get(
    job_id: given.JobId,
    output: given.Output = None,
    thumbnail: Thumbnail = False,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """Save the video of a job that has succeeded, proven by its sha256, and print where it is (default: ID.mp4)."""
    kind, suffix = ("thumbnail", ".png") if thumbnail else ("video", ".mp4")
    with connect(redis, store, api) as fleet:
        job = fleet.job(job_id)
        place = output or Path(f"{job.id}{suffix}")
        check_destination(place, suffix)
        path = job.download(place, kind)
    if json:
        print_json({"id": job_id, "path": str(path)})
    else:
        print(path)


def _submitted(fleet: Client, fields: Mapping[str, Any], key: str | None, count: int) -> Iterator[Job]:
    first = fields.get("seed")
    jobs = [{**fields, "seed": first + i} if first is not None else dict(fields) for i in range(count)]
    for job in jobs:
        parse_job(job)  # the last may be wrong where the first is not; then none is sent
    for i, job in enumerate(jobs):
        yield fleet.submit(**job, idempotency_key=f"{key}-{i}" if key and count > 1 else key)


def _acknowledged(job: Job, as_json: bool, wait: bool) -> Job:
    """Tell each id at once: the next submit may be refused."""
    if not as_json:
        print(job.id, flush=True)
    elif not wait:
        print_json(record_json(job.status()))
    return job


def _wait_for(jobs: list[Job], as_json: bool) -> None:
    screen = console(quiet=as_json)
    try:
        records = follow(jobs, screen)
    except KeyboardInterrupt:
        print("the jobs go on; `fastflow-ray watch` follows them, `fastflow-ray cancel ID` ends one", file=sys.stderr)
        raise
    if as_json:
        for record in records:
            print_json(record_json(record))
    raise typer.Exit(exit_code(records))
