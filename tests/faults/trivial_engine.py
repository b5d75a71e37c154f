"""An engine whose frames are one colour drawn from the seed: what tests of queue and workers need of a model.

Prompts can make it misbehave as real models and GPUs do. Knows no job.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

import numpy as np

from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import OutOfMemory
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.engine import Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.sampling.trace import Trace

CARD = ModelCard("trivial", "nowhere", 16, 16, 1, 8, 10, 1.0, 3.0, 8, "float32")


def exit_at_once() -> None:
    """As the driver does when the device is gone."""
    os._exit(1)


def run_out_of_memory() -> None:
    """As torch says it."""
    raise OutOfMemory("the video does not fit; ask for a smaller one")


def hang() -> None:
    """A kernel that never returns."""
    threading.Event().wait()


def loop_for_ever() -> None:
    """Python that never gets anywhere."""
    while True:
        sum(range(1_000))


MISBEHAVIOURS: dict[str, Callable[[], None]] = {
    "exit": exit_at_once, "oom": run_out_of_memory, "hang": hang, "loop": loop_for_ever,
}  # fmt: skip


class TrivialEngine:
    """An `Engine` that takes `step_s` seconds a step; `watch` is told of every step before it is made."""

    model, card, revision = CARD.name, CARD, "1"
    versions: Mapping[str, str] = {"trivial": "1"}

    def __init__(self, step_s: float, watch: Callable[[GenerationSpec, int], None]) -> None:
        self._step_s = step_s
        self._watch = watch

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        """Every step in full; acceleration is taken for off. It gives no checkpoints, so there is none to resume."""
        began_s = time.monotonic()
        trace = Trace(spec.steps)
        for step in range(spec.steps):
            on_step(StepReport("sample", step, spec.steps, step, 0))
            self._watch(spec, step)
            if step == 1 and (misbehave := MISBEHAVIOURS.get(spec.prompt)):
                misbehave()
            time.sleep(self._step_s)
            trace.add_evaluation(step)
        on_step(StepReport("decode", spec.steps, spec.steps, spec.steps, 0))
        colour = np.random.default_rng(spec.seed).random(3, np.float32)
        frames = np.broadcast_to(colour, (spec.frames, spec.height, spec.width, 3)).copy()
        return Generation(frames, trace, {"sample": time.monotonic() - began_s})

    def free(self) -> None:
        """It holds nothing."""
