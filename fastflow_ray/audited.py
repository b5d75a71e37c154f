"""A generation and its audit: the same seed run in full too, and how far apart they are. Knows no job, no queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastflow_ray.media.fidelity import psnr_db, ssim
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.storage.manifest import Audit

if TYPE_CHECKING:
    from fastflow_ray.fastflow import FastFlow


def generate(
    engine: Engine, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, audit: bool | None
) -> tuple[Generation, Audit | None]:
    """The video, and its audit if there was one; raises as the engine does.

    `audit` says always or never. On the display, video and audit are one walk of twice the steps.
    """
    if not audit:
        return engine.generate(spec, fastflow, on_step), None
    made = engine.generate(spec, fastflow, lambda report: on_step(replace(report, steps=2 * spec.steps)))
    return made, _audit(engine, spec, made, fastflow, on_step)


def _audit(engine: Engine, spec: GenerationSpec, made: Generation, fastflow: FastFlow, on_step: OnStep) -> Audit:
    def on_full_step(report: StepReport) -> None:
        evaluated, skipped = report.evaluated + len(made.trace.evaluated), report.skipped + made.trace.skipped
        on_step(StepReport(report.phase, report.step + spec.steps, 2 * spec.steps, evaluated, skipped))

    full = engine.generate(spec.in_full(), fastflow, on_full_step)
    return Audit(
        psnr_db=psnr_db(made.frames, full.frames),
        ssim=ssim(made.frames, full.frames),
        full_nfe=full.trace.nfe,
        full_sample_s=full.phase_s["sample"],
    )
