"""The engine seam: whatever can turn a `GenerationSpec` into frames can stand behind the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.card import ModelCard
from fastflow_ray.pace import Pace

if TYPE_CHECKING:
    from fastflow_ray.checkpoints.checkpoint import Checkpoint
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.planning.trial import Trial
    from fastflow_ray.sampling.trace import Trace


@dataclass(frozen=True)
class GenerationSpec:
    """One video with every number settled; the same spec gives the same frames on the same machine."""

    prompt: str
    negative_prompt: str
    width: int  # px
    height: int  # px
    frames: int  # 4k+1
    fps: int
    steps: int
    guidance: float
    shift: float
    seed: int
    acceleration: Acceleration = Acceleration.OFF
    pace: Pace | None = None  # of acceleration auto
    frugal: bool = False  # on less memory, which takes longer and moves the frames a little

    def __post_init__(self) -> None:
        if (self.pace is None) == (self.acceleration is Acceleration.AUTO):
            raise InvalidInput("acceleration auto needs a pace, and any other has none; give both or neither")

    def in_full(self) -> GenerationSpec:
        """The same video with every step evaluated: what others are measured against."""
        return replace(self, acceleration=Acceleration.OFF, pace=None)


@dataclass(frozen=True)
class StepReport:
    """Told after every phase change and every step."""

    phase: str  # load, text_encode, sample, decode, audit
    step: int = 0  # behind it; in decode, all of them
    steps: int = 0
    evaluated: int = 0
    skipped: int = 0
    resumed_at: int = 0  # steps that were behind it when this run went on from a checkpoint
    # Takes a checkpoint, while the report is being heard; None where there is nothing to go on from.
    checkpoint: Callable[[], Checkpoint] | None = field(default=None, compare=False, repr=False)
    audit_steps: int = 0  # of the steps, the last so many are its audit's

    @property
    def own_steps(self) -> int:
        """Of the video, without its audit."""
        return self.steps - self.audit_steps


@dataclass(frozen=True)
class Generation:
    """What came out."""

    frames: np.ndarray  # float32 (frames, height, width, 3) in [0, 1]
    trace: Trace  # which steps ran the network
    phase_s: dict[str, float]  # seconds per phase: text_encode, sample, decode
    trial: Trial | None = None  # to be held by whoever wants to know what the plan cost in fidelity
    economies: tuple[str, ...] = ()  # of a frugal one: "offload", "tiling"
    remarks: tuple[str, ...] = ()  # what the spec asks for and the model passes over


OnStep = Callable[[StepReport], None]  # may raise to stop the generation at this step


class Engine(Protocol):
    """One loaded model on one device."""

    model: str
    card: ModelCard  # the numbers a request may leave open
    revision: str  # what the weights are: part of every policy key and manifest
    versions: Mapping[str, str]  # of the software and the device that make the frames

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        """Run the flow; what may be skipped is known to `fastflow`, and learnt by it, unless acceleration is off.

        `resume` is a checkpoint of the same spec: the generation goes on from there as if it had never been
        interrupted, to the same bits on the same machine. Raises UnusableCheckpoint if it cannot.

        Raises AccelerationUnavailable rather than run in full where skipping was asked for and cannot be had,
        InvalidInput for a pace that so many steps cannot have, InvalidOutput on NaN or infinity, OutOfMemory if it may
        be worth another try with a frugal spec, DeviceLost if nothing is worth trying in this process.
        """

    def free(self) -> None:
        """Give back to the device what generations that ended early held; called between generations."""
