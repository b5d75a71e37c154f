"""A generation that is given up at a step, and what tells whether another one went on from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastflow_ray.checkpoints.blob import read_checkpoint, write_checkpoint
from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.checkpoints.passport import Passport
from fastflow_ray.errors import Draining
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import Generation, GenerationSpec, StepReport

PASSPORT = Passport.of("job-1", "a" * 64, "spec", "small", "0123456789ab", {})


def nobody(report: StepReport) -> None:
    """Listens to no report."""


def stopped_after(engine: DiffusersEngine, spec: GenerationSpec, fastflow: FastFlow, step: int) -> Checkpoint:
    """What is left of a generation that was given up at that step."""
    taken: list[Checkpoint] = []

    def leave(report: StepReport) -> None:
        if (report.phase, report.step) == ("sample", step):
            assert report.checkpoint is not None
            taken.append(report.checkpoint())
            raise Draining("the machine is wanted elsewhere")

    with pytest.raises(Draining):
        engine.generate(spec, fastflow, leave)
    return read_checkpoint(write_checkpoint(taken[0], PASSPORT), PASSPORT)


def assert_same(ours: Generation, theirs: Generation) -> None:
    """The same frames, bit for bit, by the same decisions."""
    assert np.array_equal(ours.frames, theirs.frames)
    assert replace(ours.trace, resumed=[]) == theirs.trace


def taught(engine: DiffusersEngine, spec: GenerationSpec, times: int) -> FastFlow:
    """What so many generations with other seeds leave."""
    fastflow = FastFlow()
    for seed in range(times):
        engine.generate(replace(spec, seed=100 + seed), fastflow, nobody)
    return fastflow
