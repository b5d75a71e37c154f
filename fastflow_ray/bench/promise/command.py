"""`fastflow-ray bench-fidelity`: serves, measures, tells, leaves `fidelity.json`, `fidelity.md` and `fidelity.png`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from fastflow_ray.bench.regime import Regime
from fastflow_ray.display.console import console

if TYPE_CHECKING:
    from fastflow_ray.bench.promise.schedules import Schedule, Target
    from fastflow_ray.bench.promise.service import Job
    from fastflow_ray.bench.stage import Stage
    from fastflow_ray.bench.subject import Subject

SCHEDULES = "euler,unipc,dpm++2m,taylorseer,fastflow-uniform"

AnyModel = Annotated[str, typer.Option(help="A name of the catalogue, a folder in diffusers' format, or a hub id.")]
FidelityDb = Annotated[float, typer.Option(min=1.0, max=120.0, help="Against the full run of the same seed.")]
Confidence = Annotated[float, typer.Option(min=0.01, max=0.999, help="Share of videos that keep it.")]
Jobs = Annotated[int, typer.Option(min=1, max=10_000, help="Videos that ask for it, one after the other.")]
Guidance = Annotated[float, typer.Option(min=0.0, max=100.0)]
Shift = Annotated[float, typer.Option(min=0.1, max=100.0)]
Steps = Annotated[int, typer.Option(min=6, max=1_000, help="Of the full run.")]
Schedules = Annotated[str, typer.Option(metavar="NAME,…", help="What it is held against; none: nothing.")]
Videos = Annotated[int, typer.Option(min=1, max=500, help="On which schedules are tried: the latest of the jobs.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")]


def bench_fidelity(
    model: AnyModel = "shapes",
    fidelity_db: FidelityDb = 40.0,
    confidence: Confidence = 0.95,
    jobs: Jobs = 200,
    guidance: Guidance = 3.0,
    shift: Shift = 3.0,
    steps: Steps = 50,
    schedules: Schedules = SCHEDULES,
    videos: Videos = 40,
    out: Out = Path("out/bench-fidelity"),
) -> None:
    """Ask a fleet that knows nothing for a fidelity, job after job: whether it is kept, and what it takes."""
    from fastflow_ray.bench import subject
    from fastflow_ray.bench.facts import facts
    from fastflow_ray.bench.promise.report import Report, write
    from fastflow_ray.bench.promise.schedules import Target
    from fastflow_ray.bench.roster import chosen
    from fastflow_ray.bench.stage import Stage
    from fastflow_ray.models.loading import load_engine

    names = [name.strip() for name in schedules.split(",") if name.strip()]
    chosen(names, [1])  # a mistake is told before anything is measured
    screen = console(stderr=True)
    stage, regime, target = Stage(load_engine(model)), Regime(guidance, shift, steps), Target(fidelity_db, confidence)
    out.mkdir(parents=True, exist_ok=True)
    subjects, known = subject.learning(jobs), facts(stage)
    report = Report(regime, target, _served(stage, regime, target, subjects, screen), {})
    write(out, report, known)  # and again after every schedule: all of them take long
    for name, schedule in _held(stage, regime, names, target, subjects[-videos:], screen):
        report = replace(report, schedules={**report.schedules, name: schedule})
        write(out, report, known)
    console().print(report.grid().to_rich())


def _served(stage: Stage, regime: Regime, target: Target, subjects: Sequence[Subject], screen: Console) -> list[Job]:
    from fastflow_ray.bench.promise.service import serve
    from fastflow_ray.pace import Pace

    pace = Pace(fidelity_db=target.fidelity_db, confidence=target.confidence)
    made = serve(stage, regime, pace, subjects)
    return list(track(made, "serving", total=len(subjects), console=screen, transient=True))


def _held(
    stage: Stage, regime: Regime, names: Sequence[str], target: Target, subjects: Sequence[Subject], screen: Console
) -> Iterator[tuple[str, Schedule | None]]:
    """The cheapest setting of each named method; those that do not apply are told of and left out."""
    from fastflow_ray.bench.method import NotApplicable
    from fastflow_ray.bench.promise.schedules import cheapest, run_in_full
    from fastflow_ray.bench.roster import chosen

    videos = run_in_full(stage, regime, subjects) if names else []
    methods = chosen(names, [1]) if names else []
    for method in track(methods, "fixed schedules", console=screen, transient=True):
        try:
            yield method.name, cheapest(stage, regime, method, target, videos)
        except NotApplicable as why:
            screen.print(f"{method.name}: not applicable: {why}", soft_wrap=True)
