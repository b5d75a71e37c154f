"""Where methods perform: one loaded model, unchanged between performances. Knows no method and no file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.subject import Subject
from fastflow_ray.bench.work import WorkMeter
from fastflow_ray.models.attachment import TRANSFORMERS
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec, StepReport
from fastflow_ray.models.scheduler import flow_euler


@dataclass(frozen=True)
class Take:
    """One generation, and what it took from the first step to the last; text encoder and decoder are not in it."""

    frames: NDArray[np.float32]  # (F, H, W, 3) in [0, 1]
    latents: NDArray[np.float32]
    evaluations: float  # of whole networks by all branches, counted in evaluated steps
    wall_s: float
    cpu_s: float


class Stage:
    """A pipeline with meters on it."""

    def __init__(self, engine: DiffusersEngine) -> None:
        self.engine = engine
        self.pipe = engine.pipe
        named = [getattr(self.pipe, name, None) for name in TRANSFORMERS]
        self.transformers = [transformer for transformer in named if transformer is not None]
        self._meters = [WorkMeter(transformer, self._two_passes) for transformer in self.transformers]

    @contextmanager
    def scheduled(self, scheduler: Any) -> Iterator[None]:
        """Another scheduler for as long as the `with` lasts."""
        own, self.pipe.scheduler = self.pipe.scheduler, scheduler
        try:
            yield
        finally:
            self.pipe.scheduler = own

    def flow_euler(self, regime: Regime) -> Any:
        """The reference's scheduler."""
        return flow_euler(self.pipe.scheduler, regime.shift)

    def rehearse(self, subject: Subject, regime: Regime) -> float:
        """Run the pipeline as it is now for what it teaches, and decode nothing; the evaluations it took."""
        with self.counting() as counted:
            self.pipe(**self._arguments(subject, regime, regime.steps) | {"output_type": "latent"})
        return counted() / regime.branches

    @contextmanager
    def counting(self) -> Iterator[Callable[[], float]]:
        """Counts passes of whole networks, each branch of guidance one, for as long as the `with` lasts."""
        with ExitStack() as leaving:
            meters = [leaving.enter_context(meter.counting()) for meter in self._meters]
            yield lambda: sum(meter.passes for meter in meters)

    def perform(self, subject: Subject, regime: Regime, steps: int) -> Take:
        """Run the pipeline as it is now, in `steps` steps."""
        watch = _Watch(steps)
        with ExitStack() as leaving:
            counted = leaving.enter_context(self.counting())
            leaving.enter_context(self.transformers[0].register_forward_pre_hook(watch.started))
            output = self.pipe(**self._arguments(subject, regime, steps), callback_on_step_end=watch.stepped)
        return Take(output.frames[0], watch.latents, counted() / regime.branches, watch.wall_s, watch.cpu_s)

    def _two_passes(self) -> object:
        """At the first timestep and near the last, so that each of two experts runs once."""
        return self.pipe(**self._arguments(Subject("", 0), Regime(1.0, 3.0, 2), 2) | {"output_type": "latent"})

    def spec(self, subject: Subject, regime: Regime, steps: int) -> GenerationSpec:
        """The subject at the model's own size."""
        card = self.engine.card
        return GenerationSpec(
            prompt=subject.prompt,
            negative_prompt="",
            width=card.width,
            height=card.height,
            frames=card.frames,
            fps=card.fps,
            steps=steps,
            guidance=regime.guidance,
            shift=regime.shift,
            seed=subject.seed,
        )

    def _arguments(self, subject: Subject, regime: Regime, steps: int) -> dict[str, Any]:
        return self.engine.arguments(self.spec(subject, regime, steps))


def unheard(report: StepReport) -> None:
    """For generations whose single steps nobody watches."""


class _Watch:
    """Stops the time from the first call of the network to the end of the last step, and keeps the latents then."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._since: tuple[float, float] | None = None
        self.latents: NDArray[np.float32] = np.empty(0, np.float32)
        self.wall_s = self.cpu_s = 0.0

    def started(self, module: torch.nn.Module, inputs: Any) -> None:
        if self._since is None:
            self._since = _now()

    def stepped(self, pipe: Any, index: int, timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
        if index + 1 == self._steps and self._since is not None:
            latents = tensors["latents"].float().cpu().numpy()  # waits for the device
            self.wall_s, self.cpu_s = (now - then for now, then in zip(_now(), self._since, strict=True))
            self.latents = latents.copy()
        return {}


def _now() -> tuple[float, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()
