"""`fastflow-ray bench-reports`: measures on an embedded server of its own, tells, leaves `reports.json` and `.md`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from fastflow_ray.display.console import console

if TYPE_CHECKING:
    from orchestration.bench.reports import Reports

MOST_MERGE_MS = 10.0  # a thousand workers with a job every ten seconds, on one core

Models = Annotated[int, typer.Option(min=1, max=100, help="That the fleet serves.")]
Keys = Annotated[int, typer.Option(min=1, max=1000, help="Policy keys known of each.")]
Count = Annotated[int, typer.Option("--reports", min=1, max=100_000, help="So many are merged.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")]


def bench_reports(
    models: Models = 4, keys: Keys = 10, reports: Count = 500, out: Out = Path("out/bench-reports")
) -> None:
    """Measure what a worker's report of what it learnt costs whoever merges a fleet's reports, and the worker."""
    import torch

    from fastflow_ray.bench.overhead.overhead import KEY, taught
    from fastflow_ray.bench.result_files import save
    from fastflow_ray.queue.embedded import EmbeddedValkey
    from orchestration.bench.reports import measure_reports

    screen = console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    known, job = (taught(torch.float32, jobs).statistics.trajectories[KEY] for jobs in (8, 1))
    doing = screen.status(f"{reports} reports into {models} × {keys} policy keys")
    with TemporaryDirectory() as folder, EmbeddedValkey(Path(folder)) as server, doing:
        measured = measure_reports(server.url, known, job, (models, keys, reports))
    rows = _rows(measured)
    lines = ["| | measured | at most |", "|---|---:|---:|", *("| " + " | ".join(row) + " |" for row in rows)]
    save(out, "reports", asdict(measured), ["\n".join(lines)])
    table = Table("", "measured", "at most", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _rows(measured: Reports) -> list[tuple[str, str, str]]:
    """What, measured, at most."""
    return [
        ("a report merged, written down and answered", f"{measured.merge_ms:.1f} ms", f"{MOST_MERGE_MS:g} ms"),
        ("… so many a second on one core", f"{measured.per_s:.0f}", ""),
        ("what is known told to a new worker", f"{measured.newcomer_ms:.1f} ms", ""),
        ("a report", f"{measured.report_bytes / 1000:.0f} kB", ""),
        (f"an answer, of {measured.models} × {measured.keys} policy keys", f"{measured.answer_bytes / 1e6:.1f} MB", ""),
        ("… read by a worker, beside its job", f"{measured.read_ms:.0f} ms", ""),
    ]
