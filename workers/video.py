"""From a claim to a video in memory: the job read, its numbers settled, the flow run, and audited if asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastflow_ray.account import evaluations_of
from fastflow_ray.audited import generate
from fastflow_ray.errors import CorruptPayload
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.frugal import within_memory
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
    """One job's frames, how they came about, and by which model."""

    model: str
    revision: str  # of the weights
    versions: Mapping[str, str]
    job: VideoJob
    spec: GenerationSpec
    generation: Generation
    audit: Audit | None

    @property
    def evaluations(self) -> Evaluations:
        """How much of the network's work was done."""
        return evaluations_of(self.generation.trace)


def make_video(
    claim: Claim, engine: Engine, informed: Callable[[], FastFlow], on_step: OnStep, saved: SavedJob
) -> Video:
    """Run the claimed job, or what an interrupted attempt left of it.

    Each try begins with what `informed` answers: what one taught that came to nothing must not count beside the next.
    Raises what the engine and `on_step` raise, and CorruptPayload.
    """
    job = read_job(claim.payload)
    if job.model != engine.model:
        raise CorruptPayload(f"the job wants {job.model!r}, but came by the queue of {engine.model!r}; submit it again")
    spec = settle(job, engine.card, seed_of(claim.job_id))

    def make(spec: GenerationSpec) -> tuple[Generation, Audit | None]:
        return saved.go_on(engine, spec, lambda resume: generate(engine, spec, informed(), on_step, job.audit, resume))

    made = within_memory(make, spec)
    return Video(engine.model, engine.revision, engine.versions, job, spec, *made)
