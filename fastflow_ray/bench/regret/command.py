"""`fastflow-ray bench-regret`: simulates, tells, leaves `regret.json`, `regret.md` and `regret.png`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from fastflow_ray.display.console import console
from fastflow_ray.errors import InvalidInput

Fleets = Annotated[
    str, typer.Option(metavar="N,…", help="Workers of each fleet; the first is what others are held to.")
]
Jobs = Annotated[int, typer.Option(min=4, max=10_000, help="Of each fleet; more than it has workers.")]
Worlds = Annotated[int, typer.Option(min=1, max=1_000, help="Flows to learn, each from nothing; their mean is shown.")]
Steps = Annotated[int, typer.Option(min=6, max=1_000, help="Of the full run.")]
Evaluations = Annotated[int, typer.Option(min=2, max=999, help="Of a job; fewer than steps.")]
Delay = Annotated[float, typer.Option(min=0.0, max=1e6, help="Of a report, in jobs that only walk their plan.")]
Seed = Annotated[int, typer.Option(min=0, max=1_000_000, help="The same seed gives the same figures.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")]


def bench_regret(
    fleets: Fleets = "1,8,64",
    jobs: Jobs = 96,
    worlds: Worlds = 6,
    steps: Steps = 30,
    evaluations: Evaluations = 12,
    delay: Delay = 1.0,
    seed: Seed = 0,
    out: Out = Path("out/bench-regret"),
) -> None:
    """Simulate fleets that learn from nothing: what they lose on the way, and how much faster many learn than one."""
    sizes = _sizes(fleets)
    from fastflow_ray.bench.facts import circumstances
    from fastflow_ray.bench.regret.report import Report, write
    from fastflow_ray.bench.regret.simulation import Order, simulate

    order = Order(sizes, jobs, worlds, steps, evaluations, delay, seed)
    out.mkdir(parents=True, exist_ok=True)
    runs = iter(track(range((len(sizes) + 1) * worlds), "simulating", console=console(stderr=True), transient=True))

    def told() -> None:
        next(runs, None)

    told()
    report = Report(order, simulate(order, told))
    write(out, report, circumstances())
    console().print(report.grid().to_rich())


def _sizes(text: str) -> list[int]:
    """Of a list with commas; raises InvalidInput."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 0 < int(word) <= 10_000 for word in words):
        raise InvalidInput(f"--fleets {text!r} is no list of whole numbers from 1 with commas between, such as 1,8,64")
    return [int(word) for word in words]
