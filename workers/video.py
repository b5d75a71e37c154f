"""From a claim to a video in memory: the job read, its numbers settled, the flow run, and audited if asked."""

from __future__ import annotations

from dataclasses import dataclass

from fastflow_ray.account import evaluations_of
from fastflow_ray.audited import generate
from fastflow_ray.errors import CorruptPayload
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.seed import seed_of
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine, Generation, GenerationSpec, OnStep
from fastflow_ray.models.request import settle
from fastflow_ray.queue.contract import Claim
from fastflow_ray.storage.publication import Audit, Evaluations
from workers.checkpoints import SavedJob


@dataclass(frozen=True)
class Video:
    """One job's frames and how they came about."""

    job: VideoJob
    spec: GenerationSpec
    generation: Generation
    audit: Audit | None

    @property
    def evaluations(self) -> Evaluations:
        """How much of the network's work was done."""
        return evaluations_of(self.generation.trace)


def make_video(claim: Claim, engine: Engine, fastflow: FastFlow, on_step: OnStep, saved: SavedJob) -> Video:
    """Run the claimed job, or what an interrupted attempt left of it.

    Raises what the engine and `on_step` raise, and CorruptPayload.
    """
    job = read_job(claim.payload)
    if job.model != engine.model:
        raise CorruptPayload(f"the job wants {job.model!r}, but came by the queue of {engine.model!r}; submit it again")
    spec = settle(job, engine.card, seed_of(claim.job_id))
    made = saved.go_on(spec, lambda resume: generate(engine, spec, fastflow, on_step, job.audit, resume))
    return Video(job, spec, *made)
