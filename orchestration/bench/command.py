"""`fastflow-ray bench-reports`: measures on an embedded server of its own, tells, leaves `reports.json`."""

from __future__ import annotations

import json
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
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports.json goes.")]


def bench_reports(
    models: Models = 4, keys: Keys = 10, reports: Count = 500, out: Out = Path("out/bench-reports")
) -> None:
    """Measure what a worker's report of what it learnt costs whoever merges a fleet's reports, and the worker."""
    from fastflow_ray.atomic_file import replacing
    from fastflow_ray.queue.embedded import EmbeddedValkey
    from orchestration.bench.reports import measure_reports, taught

    screen = console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    known, job = taught(jobs=8), taught(jobs=1)
    doing = screen.status(f"{reports} reports into {models} × {keys} policy keys")
    with TemporaryDirectory() as folder, EmbeddedValkey(Path(folder)) as server, doing:
        measured = measure_reports(server.url, known, job, (models, keys, reports))
    with replacing(out / "reports.json") as sibling:
        sibling.write_text(json.dumps(asdict(measured), indent=1) + "\n")
    table = Table("", "measured", "at most", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for row in _rows(measured):
        table.add_row(*row)
    console().print(table)


def _rows(measured: Reports) -> list[tuple[str, str, str]]:
    """What, measured, at most."""
    return [
        ("a report merged, written down and answered", f"{measured.merge_ms:.1f} ms", f"{MOST_MERGE_MS:g} ms"),
        ("… so many a second on one core", f"{measured.per_s:.0f}", ""),
        ("what is known told to a new worker", f"{measured.newcomer_ms:.1f} ms", ""),
        ("a report", _kb(measured.report_bytes), ""),
        (f"an answer, of {measured.models} × {measured.keys} policy keys", _kb(measured.answer_bytes), ""),
        ("… read by a worker, beside its job", f"{measured.read_ms:.0f} ms", ""),
    ]


def _kb(size: int) -> str:
    return f"{size / 1000:,.0f} kB"
