"""Jobs that all ask for the same fidelity, made one after the other by a fleet that knows nothing at first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.audited import generate
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage, unheard
from fastflow_ray.bench.subject import Subject
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.media.fidelity import psnr_db
from fastflow_ray.models.engine import Generation, GenerationSpec
from fastflow_ray.pace import Pace


@dataclass(frozen=True)
class Job:
    """One video, and how far it came from its full run."""

    evaluations: int  # steps evaluated for whoever asked
    learning: float  # steps evaluated beside them: audits, and other plans on the same seed
    psnr_db: float  # of the decoded frames; infinite where nothing was skipped


def serve(stage: Stage, regime: Regime, pace: Pace, subjects: Sequence[Subject]) -> Iterator[Job]:
    """Make the videos in order, as a worker does, and hold each against its full run; that run, where no audit made
    it, teaches nothing and counts for nobody."""
    fastflow = FastFlow()
    for each in subjects:
        spec = replace(stage.spec(each, regime, regime.steps), acceleration=Acceleration.AUTO, pace=pace)
        with stage.counting() as counted:
            made, audit = generate(stage.engine, spec, fastflow, unheard, audit=None)
        evaluations = len(made.trace.evaluated)
        learning = counted() / regime.branches - evaluations
        yield Job(evaluations, learning, _kept_db(stage, spec, made, audit.psnr_db if audit else None))


def _kept_db(stage: Stage, spec: GenerationSpec, made: Generation, audited_db: float | None) -> float:
    if not made.trace.skipped:
        return math.inf
    if audited_db is not None:
        return audited_db
    return psnr_db(made.frames, stage.engine.generate(spec.in_full(), FastFlow(), unheard).frames)
