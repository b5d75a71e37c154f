"""`fastflow-ray bench-publishing`: a device's idle time between two videos, with and without a publishing thread."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from fastflow_ray.display.console import console

JOB_S = 10.0  # the job whose hundredth the idle time must not exceed

Jobs = Annotated[int, typer.Option(min=2, max=1000, help="Videos, one after the other.")]
Steps = Annotated[int, typer.Option(min=4, max=1000, help="Of each.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where publishing.json goes.")]


def bench_publishing(jobs: Jobs = 12, steps: Steps = 50, out: Out = Path("out/bench-publishing")) -> None:
    """Measure how long the device waits between two videos of the embedded model, with and without a publishing thread.

    A real queue (the embedded server), a folder as the store, this machine's device.
    """
    from fastflow_ray.atomic_file import replacing
    from fastflow_ray.models.loading import load_engine
    from fastflow_ray.queue.embedded import EmbeddedValkey
    from workers.bench.gap import measure, summary
    from workers.publishing_thread import PublishingExecutor, PublishingThread, SameThread

    screen = console(stderr=True)
    engine = load_engine("shapes")
    executors: dict[str, PublishingExecutor] = {"with": PublishingThread(), "without": SameThread()}
    figures = {}
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="fastflow-") as folder, EmbeddedValkey(Path(folder) / "valkey") as server:
        for name, executor in executors.items():
            with screen.status(f"{jobs} videos of {steps} steps {name} the thread"):
                gaps = measure(engine, executor, jobs, steps, server.url, Path(folder) / name)
            figures[name] = summary(gaps, JOB_S)
    with replacing(out / "publishing.json") as sibling:
        sibling.write_text(json.dumps({"steps": steps, "versions": dict(engine.versions), **figures}, indent=1) + "\n")
    console().print(_table(figures))


def _table(figures: dict[str, dict[str, float]]) -> Table:
    table = Table("the thread", "idle", "longest", f"of a {JOB_S:g} s job", "decode", "text", "last step to first")
    for name, row in figures.items():
        times = [f"{1000 * row[key]:.1f} ms" for key in ("idle_s", "longest_idle_s")]
        others = [f"{1000 * row[key]:.0f} ms" for key in ("decode_s", "text_encode_s", "between_steps_s")]
        table.add_row(name, *times, f"{row['share_of_job']:.2%}", *others)
    return table
