"""`fastflow-ray bench-queue`: measures on an embedded server of its own, tells, leaves `queue.json` and `queue.md`."""

from __future__ import annotations

import os
import platform
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.queue.benchmark.load import measure_beats, measure_claims
from fastflow_ray.queue.benchmark.report import rows, write
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.limits import BEAT_S

Queued = Annotated[int, typer.Option(min=1, max=1_000_000, help="Jobs that wait while claims are timed.")]
Claims = Annotated[int, typer.Option(min=1, max=100_000, help="So many claims are timed.")]
Workers = Annotated[int, typer.Option(min=1, max=100_000, help="So many beat.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="So long the beats are measured.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")]


def bench_queue(
    queued: Queued = 100_000,
    claims: Claims = 5_000,
    workers: Workers = 1_000,
    seconds: Seconds = 30.0,
    out: Out = Path("out/bench-queue"),
) -> None:
    """Measure how fast jobs are claimed when many wait, and what the heartbeats of many workers cost the server."""
    screen = console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, EmbeddedValkey(Path(folder)) as server:
        facts = _facts(server)
        with screen.status(f"{counted(queued, 'submit')}, then {counted(claims, 'claim')}"):
            claimed = measure_claims(server.url, queued, min(claims, queued))
        with screen.status(f"{counted(workers, 'worker beats', 'workers beat')} for {seconds:g} s"):
            beaten = measure_beats(server.url, workers, BEAT_S, seconds)
    write(out, claimed, beaten, facts)
    table = Table("", "measured", "at most", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows(claimed, beaten):
        table.add_row(*row)
    console().print(table)


def _facts(server: EmbeddedValkey) -> dict[str, Any]:
    with closing(Connection(server.url)) as connection:
        told: Any = connection.ask(lambda client: client.info("server"))
    version = told.get("valkey_version") or told["redis_version"]
    load = f"{os.getloadavg()[0]:.1f} on {counted(os.cpu_count() or 1, 'core')}"
    return {"server": version, "machine": platform.machine(), "python": platform.python_version(), "load": load}
