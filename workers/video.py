"""From a claim to a video in memory: the job read, its numbers settled, the flow run, and audited if asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastflow_ray.errors import CorruptPayload
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.seed import seed_of
from fastflow_ray.jobs.video_job import Acceleration, VideoJob
from fastflow_ray.media.fidelity import psnr_db, ssim
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.models.request import settle
from fastflow_ray.queue.contract import Claim
from fastflow_ray.storage.publication import Audit, Evaluations


@dataclass(frozen=True)
class Video:
    """One job's frames and how they came about."""

    job: VideoJob
    spec: GenerationSpec
    generation: Generation
    audit: Audit | None

    @property
    def evaluations(self) -> Evaluations:
        """How much of the network's work was done; before the first decision all of it was planned."""
        trace = self.generation.trace
        branches = trace.nfe // len(trace.evaluated)
        return Evaluations(
            planned=trace.steps,
            made=len(trace.evaluated),
            skipped=trace.skipped,
            nfe=trace.nfe,
            baseline_nfe=trace.steps * branches,
        )


def make_video(claim: Claim, engine: Engine, fastflow: FastFlow, on_step: OnStep) -> Video:
    """Run the claimed job; raises what the engine and `on_step` raise, and CorruptPayload."""
    job = read_job(claim.payload)
    if job.model != engine.model:
        raise CorruptPayload(f"the job wants {job.model!r}, but came by the queue of {engine.model!r}; submit it again")
    spec = settle(job, engine.card, seed_of(claim.job_id))
    skipping = fastflow if job.acceleration is Acceleration.FASTFLOW else None
    if not job.audit:
        return Video(job, spec, engine.generate(spec, skipping, on_step), None)
    generation = engine.generate(spec, skipping, lambda report: on_step(replace(report, steps=2 * spec.steps)))
    return Video(job, spec, generation, _audit(engine, spec, generation, on_step))


def _audit(engine: Engine, spec: GenerationSpec, made: Generation, on_step: OnStep) -> Audit:
    """Run the same seed in full and compare what both decode to. On the display, the second half of one walk."""

    def on_full_step(report: StepReport) -> None:
        evaluated, skipped = report.evaluated + len(made.trace.evaluated), report.skipped + made.trace.skipped
        on_step(StepReport(report.phase, report.step + spec.steps, 2 * spec.steps, evaluated, skipped))

    full = engine.generate(spec, None, on_full_step)
    return Audit(
        psnr_db=psnr_db(made.frames, full.frames),
        ssim=ssim(made.frames, full.frames),
        full_nfe=full.trace.nfe,
        full_sample_s=full.phase_s["sample"],
    )
