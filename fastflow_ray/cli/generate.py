"""`generate`: one video in this process, without queue or fleet. Torch is imported only when it runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastflow_ray.acceleration import DEFAULT_SPEEDUP, Acceleration
from fastflow_ray.cli import options as given
from fastflow_ray.cli.destination import check_destination
from fastflow_ray.cli.generation_display import shown
from fastflow_ray.cli.local_run import loaded, save_video, timed, told_if_interrupted
from fastflow_ray.cli.options import job_fields, refused_by_option
from fastflow_ray.cli.output import print_json
from fastflow_ray.cli.policy_file import add_learnt, read_or_empty
from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.display.jobs import account_line
from fastflow_ray.errors import FastFlowError, InvalidInput
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.admission import admit
from fastflow_ray.models.catalogue import catalogue, check_folders
from fastflow_ray.pace import pace_fields

if TYPE_CHECKING:
    from fastflow_ray.bandit.statistics import Statistics
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.models.engine import Generation, GenerationSpec
    from fastflow_ray.storage.manifest import Audit

CALIBRATION = "this was the calibration: evaluated in full, to learn from; "
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
    evaluations: given.Evaluations = None,
    speedup: given.Speedup = None,
    fidelity_db: given.FidelityDb = None,
    preset: given.AsPreset = None,
    confidence: given.Confidence = None,
    audit: given.Audited = None,
    policy: PolicyFile = None,
    json: given.AsJson = False,
) -> None:
    """Make one video here and now, in this process, and tell what was evaluated and what was skipped."""
    with refused_by_option(ctx):
        job = parse_job({name: value for name, value in job_fields(ctx.params).items() if name != "model"})
        _check_before_work(job, model, output, policy)
    with told_if_interrupted():
        report = _make(job, model, output, policy, console(stderr=True, quiet=json))
    if json:
        print_json(report)
    else:
        print(_summary(report, policy, job.audit))


def _check_before_work(job: VideoJob, model: str, output: Path, policy: Path | None) -> None:
    """Minutes of work must not end at a path that nobody can write to, nor begin for what cannot be had."""
    if policy and job.acceleration is Acceleration.OFF:
        raise InvalidInput("--policy is about skipping; leave it out with --acceleration off")
    if model in catalogue():
        admit(job.model_copy(update={"model": model}))
        check_folders([model])
    check_destination(output, ".mp4")
    if policy:
        check_destination(policy)


def _make(job: VideoJob, model: str, output: Path, policy: Path | None, screen: Console) -> dict[str, Any]:
    """Load, generate, encode and save; everything there is to report."""
    from fastflow_ray.account import account_of, numbers_of
    from fastflow_ray.audited import generate
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.frugal import within_memory
    from fastflow_ray.models.request import settle

    before_s: dict[str, float] = {}
    after_s: dict[str, float] = {}
    known = read_or_empty(policy) if policy else None
    with timed(before_s, "load"):
        engine = loaded(model, screen)
    spec = settle(job, engine.card, seed=secrets.randbelow(2**32))
    with shown(screen) as on_step:

        def make(spec: GenerationSpec) -> tuple[Generation, Audit | None, FastFlow]:
            fastflow = FastFlow(statistics=known)
            return *generate(engine, spec, fastflow, on_step, job.audit), fastflow

        made, audit, fastflow = within_memory(make, spec)
    with timed(after_s, "encode"):
        save_video(made, spec.fps, output)
    learnt = _kept(fastflow, policy, output)
    return {
        "model": engine.model,
        "revision": engine.revision,
        **numbers_of(spec),
        "pace": pace_fields(job),
        **account_of(made),
        "audit": None if audit is None else audit.model_dump(mode="json"),
        "versions": dict(engine.versions),
        "phase_s": before_s | made.phase_s | after_s,
        "calibration": _sets_a_scale(learnt) or _ran_in_full_to_learn(spec, made),
        "known_full_runs": _known_full_runs(fastflow, learnt),
        "path": str(output),
    }


def _kept(fastflow: FastFlow, policy: Path | None, output: Path) -> Statistics:
    """What this generation taught, added to the file if there is one; raises FastFlowError."""
    learnt = fastflow.take_delta()
    if policy:
        try:
            add_learnt(policy, learnt)
        except FastFlowError as error:
            raise FastFlowError(f"{output} was made, but what it taught is lost: {error}") from error
    return learnt


def _sets_a_scale(learnt: Statistics) -> bool:
    """Whether it was FastFlow's calibration."""
    return any(table.scale_runs for table in learnt.tables.values())


def _known_full_runs(fastflow: FastFlow, learnt: Statistics) -> int:
    """How many full runs of this kind of video plans are drawn up from, this one included."""
    return sum(fastflow.statistics.trajectories[key].full_runs for key in learnt.trajectories)


def _ran_in_full_to_learn(spec: GenerationSpec, made: Generation) -> bool:
    """Whether a plan that was to skip evaluated every step, for too little was known."""
    return spec.pace is not None and made.trace.skipped == 0 and not spec.pace.wants_every(spec.steps)


def _summary(report: Mapping[str, Any], policy: Path | None, audit: bool | None) -> str:
    frames = counted(report["frames"], "frame")
    work = counted(report["evaluations"]["nfe"], "network evaluation")
    lines = [
        f"{report['path']}  {report['width']}x{report['height']}, {frames}, seed {report['seed']}",
        f"{account_line(report)}, {work}{_for_the_audit(report['audit'])}",
        "seconds: " + ", ".join(f"{phase} {spent:.1f}" for phase, spent in report["phase_s"].items()),
    ]
    lines += [f"note: {remark}" for remark in report["remarks"]]
    if report["calibration"]:
        lines.append(_why_in_full(report, policy, audit))
    return "\n".join(lines)


def _for_the_audit(audit: Mapping[str, Any] | None) -> str:
    """What it cost beside the video; plans that were tried on the same seed are in it."""
    return f" and {audit['nfe']} for the audit" if audit and audit.get("nfe") else ""


def _why_in_full(report: Mapping[str, Any], policy: Path | None, audit: bool | None) -> str:
    """What has to come before the first skip: of a speed one full run, of a fidelity audits that show it to hold."""
    pace = report["pace"] or {}
    if "fidelity_db" not in pace:
        return CALIBRATION + (KEPT if policy else NOT_KEPT)
    if audit is False:
        return (
            f"every step was evaluated, for no plan is known to keep {pace['fidelity_db']:g} dB, and only audits, which"
            " --no-audit forbids, could show one; leave it out"
        )
    known = f"{policy} has learnt from {report['known_full_runs']}" if policy else "give --policy FILE to keep them"
    return (
        f"every step was evaluated, for no plan is known yet to keep {pace['fidelity_db']:g} dB: that takes at"
        f" least {_videos_to_show()} videos of this kind, and {known};"
        f" --speedup {DEFAULT_SPEEDUP:g} with a --policy file skips from the second on"
    )


def _videos_to_show() -> int:
    """The fewest videos after which a fidelity can be known to hold: full runs to plan from, then audits."""
    from fastflow_ray.bandit.assurance import FEWEST_TO_ASSURE
    from fastflow_ray.planning.audit_need import FULL_RUNS_TO_COMPARE

    return FULL_RUNS_TO_COMPARE + FEWEST_TO_ASSURE
