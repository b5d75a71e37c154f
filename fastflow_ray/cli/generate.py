"""`generate`: one video in this process, without queue or fleet. Torch is imported only when it runs."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastflow_ray.atomic_file import replacing
from fastflow_ray.cli import options as given
from fastflow_ray.cli.generation_display import shown
from fastflow_ray.cli.options import job_fields
from fastflow_ray.cli.output import print_json
from fastflow_ray.cli.policy_file import add_learnt, read_or_empty
from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.video_job import Acceleration, VideoJob

if TYPE_CHECKING:
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.models.engine import Engine, Generation, GenerationSpec

CALIBRATION = "this was the calibration: evaluated in full, to learn how large an error is on this grid; "
KEPT = "the next video with this --policy file skips"
NOT_KEPT = "give --policy FILE to keep what was learnt, or the next one will be a calibration again"

Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The mp4, written whole or not at all.")]
AnyModel = Annotated[str, typer.Option(help="A name of the catalogue, a folder in diffusers' format, or a hub id.")]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="What was learnt about skipping: read if it exists, then updated."),
]


def generate(
    ctx: typer.Context,
    prompt: given.Prompt,
    output: Output,
    model: AnyModel = "shapes",
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
    policy: PolicyFile = None,
    json: given.AsJson = False,
) -> None:
    """Make one video here and now, in this process, and tell what was evaluated and what was skipped."""
    job = parse_job({name: value for name, value in job_fields(ctx.params).items() if name != "model"})
    _check_before_work(job, output, policy)
    report = _make(job, model, output, policy, Console(stderr=True, quiet=json))
    if json:
        print_json(report)
    else:
        print(_summary(report, kept=policy is not None))


def _check_before_work(job: VideoJob, output: Path, policy: Path | None) -> None:
    """Minutes of work must not end at a path that nobody can write to."""
    if policy and job.acceleration is Acceleration.OFF:
        raise InvalidInput("--policy is about skipping; leave it out with --acceleration off")
    for place in filter(None, (output, policy)):
        if place.is_dir() or not place.parent.is_dir():
            raise InvalidInput(f"cannot write {place}: name a file in a folder that exists")


def _make(job: VideoJob, model: str, output: Path, policy: Path | None, screen: Console) -> dict[str, Any]:
    """Load, generate, encode and save; everything there is to report."""
    before_s: dict[str, float] = {}
    after_s: dict[str, float] = {}
    with _timed(before_s, "load"), screen.status(f"loading {model}"):
        engine, fastflow = _loaded(job, model, policy)
    spec = _settled(job, engine)
    with shown(screen) as on_step:
        made = engine.generate(spec, fastflow, on_step)
    with _timed(after_s, "encode"):
        _save_video(made, spec.fps, output)
    calibration = fastflow is not None and _learnt(fastflow, policy)
    return _report(engine, spec, made) | {
        "phase_s": before_s | made.phase_s | after_s,
        "calibration": calibration,
        "path": str(output),
    }


def _loaded(job: VideoJob, model: str, policy: Path | None) -> tuple[Engine, FastFlow | None]:
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.models.loading import load_engine

    if job.acceleration is Acceleration.OFF:
        return load_engine(model), None
    fastflow = FastFlow(statistics=read_or_empty(policy) if policy else None)
    return load_engine(model), fastflow


def _settled(job: VideoJob, engine: Engine) -> GenerationSpec:
    from fastflow_ray.models.request import settle

    return settle(job, engine.card, seed=secrets.randbelow(2**32))


def _save_video(made: Generation, fps: int, output: Path) -> None:
    from fastflow_ray.media.video import write_video

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        write_video(made.frames, video, fps)
        with replacing(output) as sibling:
            shutil.copyfile(video, sibling)


def _learnt(fastflow: FastFlow, policy: Path | None) -> bool:
    """Keep what this generation taught; whether it was a calibration."""
    delta = fastflow.take_delta()
    if policy:
        add_learnt(policy, delta)
    return any(table.scale_runs for table in delta.tables.values())


def _report(engine: Engine, spec: GenerationSpec, made: Generation) -> dict[str, Any]:
    trace = made.trace
    return {
        "model": engine.model,
        "revision": engine.revision,
        **asdict(spec),
        "evaluations": {"made": len(trace.evaluated), "skipped": trace.skipped, "nfe": trace.nfe},
        "evaluated_steps": trace.evaluated,
    }


def _summary(report: Mapping[str, Any], kept: bool) -> str:
    evaluations, steps = report["evaluations"], report["steps"]
    made, skipped, nfe = evaluations["made"], evaluations["skipped"], evaluations["nfe"]
    lines = [
        f"{report['path']}  {report['width']}x{report['height']}, {report['frames']} frames, seed {report['seed']}",
        f"{made} of {steps} steps evaluated, {skipped} skipped ({nfe} network evaluations)",
        "seconds: " + ", ".join(f"{phase} {spent:.1f}" for phase, spent in report["phase_s"].items()),
    ]
    if report["calibration"]:
        lines.append(CALIBRATION + (KEPT if kept else NOT_KEPT))
    return "\n".join(lines)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started_s = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started_s
