"""A generation and its audit: the same seed run in full too, and how far apart they are. Knows no job, no queue.

Whether there is an audit is for the user to say, and else for the policy, which audits often while it knows little.
What an audit teaches, and which other plans it walks on the same seed, is in the generation's trial. Who has to leave
in the middle of an audit that nobody asked for has a video all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.errors import Draining
from fastflow_ray.media.fidelity import psnr_db, ssim
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.pace import Pace
from fastflow_ray.planning.trial import Fidelity
from fastflow_ray.storage.manifest import Audit

if TYPE_CHECKING:
    from fastflow_ray.checkpoints.checkpoint import Checkpoint
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.sampling.plan import Plan
    from fastflow_ray.sampling.sightings import Sightings


def generate(
    engine: Engine,
    spec: GenerationSpec,
    fastflow: FastFlow,
    on_step: OnStep,
    audit: bool | None,
    resume: Checkpoint | None = None,
) -> tuple[Generation, Audit | None]:
    """The video, and its audit if there was one; raises as the engine does, and whatever `on_step` raises. What it had
    taught by then is the caller's to drop, if the same seed is run again.

    `audit` says always or never; None leaves it to the policy, and Draining then ends the audit alone. On the display,
    video and audit are one walk, and one that was asked for is gone on with from the video's last step but one.
    """
    display = _OneWalk(spec.steps, on_step, resume, walks=2 if audit else 1)
    made = engine.generate(spec, fastflow, display.on_step, resume)
    is_due = made.trial is not None and made.trial.is_due
    if audit is False or not (audit or is_due):
        return made, None
    try:
        return made, _audit(engine, spec, fastflow, made, display)
    except Draining:
        if audit:
            raise
        return made, None


def _audit(engine: Engine, spec: GenerationSpec, fastflow: FastFlow, made: Generation, display: _OneWalk) -> Audit:
    nfe = 0

    def walk(plan: Plan) -> tuple[Generation, Sightings]:
        nonlocal nfe
        display.next_walk()
        by_plan = replace(spec, acceleration=Acceleration.AUTO, pace=Pace(plan=plan))
        other = engine.generate(by_plan, fastflow.ignorant(), display.on_step)
        assert other.trial is not None  # planned generations have one
        nfe += other.trace.nfe
        return other, other.trial.seen

    if made.trial is not None:
        full, _ = made.trial.hold(made, walk, _compare)
    else:
        display.next_walk()
        full = engine.generate(spec.in_full(), fastflow, display.on_step)
        nfe = full.trace.nfe
    return Audit(
        psnr_db=psnr_db(made.frames, full.frames),
        ssim=ssim(made.frames, full.frames),
        full_nfe=full.trace.nfe,
        full_sample_s=full.phase_s["sample"],
        nfe=nfe,
    )


def _compare(ours: Generation, theirs: Generation) -> Fidelity:
    return Fidelity(psnr_db(ours.frames, theirs.frames), ssim(ours.frames, theirs.frames))


class _OneWalk:
    """Shows several generations of one seed as one, so that progress never goes back."""

    def __init__(self, steps: int, on_step: OnStep, resume: Checkpoint | None, walks: int) -> None:
        self._steps, self._on_step = steps, on_step
        self._walk, self._walks = 0, walks
        self._resumed_at = 0  # in the first walk: only that one is gone on with
        self._kept = resume  # of the first walk, for when it has ended
        self._video = StepReport("load")  # the latest of the first walk

    def next_walk(self) -> None:
        """What is reported from here on belongs to another generation."""
        self._walk += 1
        self._walks = max(self._walks, self._walk + 1)

    def on_step(self, report: StepReport) -> None:
        """Report the steps of all together; evaluated and skipped are the video's own."""
        if not self._walk:
            self._resumed_at, self._video = report.resumed_at, report
        told = StepReport(
            "audit" if self._walk else report.phase,
            self._walk * self._steps + report.step,
            self._walks * self._steps,
            self._video.evaluated,
            self._video.skipped,
            self._resumed_at,
            self._checkpoint(report),
            audit_steps=(self._walks - 1) * self._steps,
        )
        self._on_step(told)

    def _checkpoint(self, report: StepReport) -> Callable[[], Checkpoint] | None:
        """Always of the video: an audit is not gone on with."""
        if not self._walk and report.checkpoint is not None:
            if self._walks == 1 or report.step < self._steps - 1:
                return report.checkpoint
            self._kept = report.checkpoint()
        kept = self._kept
        return None if kept is None else lambda: kept
