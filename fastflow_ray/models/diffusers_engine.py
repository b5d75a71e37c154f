"""An engine around a diffusers video pipeline. The pipeline is called once and unchanged; its callbacks tell the rest.

Speaks the grammar that Wan and HunyuanVideo share: `prompt`, `num_inference_steps`, a generator, a callback per step.
Knows neither jobs nor queues, and nothing of how skips are chosen.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.bandit.policy_key import PolicyKey
from fastflow_ray.errors import DeviceLost, FastFlowError, InvalidInput, InvalidOutput, OutOfMemory
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.attachment import TRANSFORMERS
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.device import free_memory, is_lost, ran_out_of_memory
from fastflow_ray.models.economy import Economy
from fastflow_ray.models.engine import Generation, GenerationSpec, OnStep, StepReport
from fastflow_ray.models.phase_clock import PhaseClock
from fastflow_ray.models.remarks import remarks_on
from fastflow_ray.models.scheduler import flow_euler

if TYPE_CHECKING:
    from fastflow_ray.checkpoints.checkpoint import Checkpoint
    from fastflow_ray.models.attachment import Attachment
    from fastflow_ray.sampling.trace import Trace


class DiffusersEngine:
    """One pipeline on one device; not for two threads at a time."""

    def __init__(self, pipe: Any, card: ModelCard, revision: str, versions: Mapping[str, str]) -> None:
        pipe.set_progress_bar_config(disable=True)
        self._pipe = pipe
        self._economy = Economy(pipe)
        self.model = card.name
        self.card = card
        self.revision = revision
        self.versions = versions

    def generate(
        self, spec: GenerationSpec, fastflow: FastFlow, on_step: OnStep, resume: Checkpoint | None = None
    ) -> Generation:
        """Run the pipeline on the flow-Euler grid of the spec's shift and steps, or the rest of it after `resume`.

        Whatever ends it early leaves the pipeline as it was. Raises InvalidInput for a size the model cannot decode or
        a pace that so many steps cannot have, InvalidOutput on NaN or infinity, OutOfMemory, DeviceLost,
        AccelerationUnavailable, UnusableCheckpoint, and whatever `on_step` raises.
        """
        self.check(spec)
        if spec.acceleration is Acceleration.OFF:
            fastflow = FastFlow(arms=(0,))  # no arm but to evaluate
        fields = vars(spec.pace) if spec.pace is not None else {}
        try:
            self._economy.set(spec.frugal)
            with (
                _flow_euler(self._pipe, spec.shift),
                fastflow.attach(self._pipe, self.policy_key(spec), **fields) as run,
            ):
                if resume is not None:
                    run.resume(resume)
                return self._run(spec, run, on_step)
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error) and not is_lost(self._device):
                raise
            reason = str(error).split("\n")[0]
        # Outside the handler the traceback is gone, and with it the frames that held the tensors; a worker that kept
        # them would fail all its later jobs too.
        raise self._failure(spec, reason)

    def free(self) -> None:
        """Give back to the device what generations that ended early held. Call between generations, and outside of any
        `except` clause, whose traceback would hold it still."""
        if hasattr(self._pipe.vae, "clear_cache"):  # a decoder that was stopped keeps what it saw of the last frames
            self._pipe.vae.clear_cache()
        free_memory(self._device)

    def check(self, spec: GenerationSpec) -> None:
        """Raise InvalidInput unless the model divides this size, and the pace can be had of so many steps."""
        if spec.pace is not None:
            spec.pace.check(spec.steps)
        patch = self._denoisers[0].config.patch_size
        patch_px = self._pipe.vae_scale_factor_spatial * (patch if isinstance(patch, int) else patch[-1])
        side_px = math.lcm(16, patch_px)  # pipelines of this family refuse sides off the 16 px grid
        if spec.width % side_px or spec.height % side_px:
            raise InvalidInput(f"{self.model} makes sides of multiples of {side_px} px, not {spec.width}x{spec.height}")
        stride = self._pipe.vae_scale_factor_temporal
        if spec.frames % stride != 1:
            raise InvalidInput(f"{self.model} makes {stride}k+1 frames, not {spec.frames}")

    def policy_key(self, spec: GenerationSpec) -> PolicyKey:
        """Which generations teach each other about skipping."""
        return PolicyKey(
            model=self.model,
            revision=self.revision,
            steps=spec.steps,
            shift=spec.shift,
            guidance=spec.guidance,
            width=spec.width,
            height=spec.height,
            frames=spec.frames,
        )

    def _run(self, spec: GenerationSpec, run: Attachment, on_step: OnStep) -> Generation:
        clock, arguments = PhaseClock(self._device), self.arguments(spec)
        teller = _Teller(spec.steps, run, clock, arguments["generator"], on_step)
        with ExitStack() as on_failure:
            on_failure.callback(self._pipe.maybe_free_model_hooks)  # as the pipeline does itself when it ends well
            with _before_first_forward(self._denoisers, teller.sampling):
                teller.text_encoding()
                frames = self._pipe(**arguments, callback_on_step_end=teller.stepped).frames[0]
            on_failure.pop_all()
        if not np.isfinite(frames).all():  # the scheduler vouches for the latents, nobody for the decoder
            raise InvalidOutput(f"{self.model} decoded NaN or infinite pixels (seed {spec.seed}); try another seed")
        phase_s = clock.stop()
        remarks = remarks_on(spec, getattr(self._pipe, "tokenizer", None), self.card.max_sequence_length)
        return Generation(frames, run.trace, phase_s, run.trial, self._economy.measures, remarks)

    def _failure(self, spec: GenerationSpec, reason: str) -> FastFlowError:
        if is_lost(self._device):
            return DeviceLost(f"{self._device} computes nothing any more: {reason}; go on in another process")
        self.free()
        return OutOfMemory(f"{self.model} at {spec.width}x{spec.height}x{spec.frames}: {reason}; use a smaller size")

    @property
    def pipe(self) -> Any:
        """The pipeline itself, for those who put schedulers and caches of others on it; leave it as it was."""
        return self._pipe

    def arguments(self, spec: GenerationSpec) -> dict[str, Any]:
        """What the pipeline is called with for this spec."""
        # HunyuanVideo's `guidance_scale` is an input of its network; guidance by a second branch has another name.
        names = inspect.signature(self._pipe.__call__).parameters
        guidance = "true_cfg_scale" if "true_cfg_scale" in names else "guidance_scale"
        return {
            "prompt": spec.prompt,
            "negative_prompt": spec.negative_prompt,
            "width": spec.width,
            "height": spec.height,
            "num_frames": spec.frames,
            "num_inference_steps": spec.steps,
            guidance: spec.guidance,
            "max_sequence_length": self.card.max_sequence_length,
            "generator": torch.Generator("cpu").manual_seed(spec.seed),  # the same noise on every device
            "output_type": "np",
        }

    @property
    def _denoisers(self) -> list[Any]:
        """One transformer, or Wan 2.2's two experts."""
        both = (getattr(self._pipe, name, None) for name in TRANSFORMERS)
        return [transformer for transformer in both if transformer is not None]

    @property
    def _device(self) -> torch.device:
        return torch.device(self._pipe._execution_device)


class _Teller:
    """Turns what the pipeline lets us see into step reports and phases."""

    def __init__(
        self, steps: int, run: Attachment, clock: PhaseClock, generator: torch.Generator, on_step: OnStep
    ) -> None:
        self._steps = steps
        self._run = run
        self._clock = clock
        self._generator = generator
        self._resumed = run.resumes
        self._resumed_at = run.resumes.step if run.resumes is not None else 0
        self._on_step = on_step

    def text_encoding(self) -> None:
        self._enter("text_encode", 0)

    def sampling(self) -> None:
        self._enter("sample", 0)

    def stepped(self, pipe: Any, index: int, timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
        if index + 1 > self._resumed_at:
            self._report("sample", index + 1)
        elif index + 1 == self._resumed_at:
            self._draw_as_before()
        if index + 1 == self._steps:
            self._enter("decode", self._steps)
        return {}

    def _draw_as_before(self) -> None:
        """Should a pipeline draw between its steps, it draws now what it would have drawn."""
        if self._resumed is not None and self._resumed.generator is not None:
            self._generator.set_state(self._resumed.generator)

    def _checkpoint(self) -> Checkpoint:
        return replace(self._run.checkpoint(), generator=self._generator.get_state())

    def _enter(self, phase: str, step: int) -> None:
        self._clock.enter(phase)
        self._report(phase, step)

    def _report(self, phase: str, step: int) -> None:
        trace: Trace | None = self._run.trace if step else None
        evaluated = len(trace.evaluated) if trace else 0
        checkpoint = self._checkpoint if phase == "sample" and 0 < step < self._steps else None
        skipped = step - evaluated
        self._on_step(StepReport(phase, step, self._steps, evaluated, skipped, self._resumed_at, checkpoint))


@contextmanager
def _flow_euler(pipe: Any, shift: float) -> Iterator[None]:
    """Put the flow-Euler grid sigma = shift·u / (1 + (shift - 1)·u) in place of the checkpoint's own scheduler."""
    own = pipe.scheduler
    pipe.scheduler = flow_euler(own, shift)
    try:
        yield
    finally:
        pipe.scheduler = own


@contextmanager
def _before_first_forward(modules: list[torch.nn.Module], action: Callable[[], None]) -> Iterator[None]:
    """Call `action` once, when one of the modules is about to run for the first time."""
    hooks: list[torch.utils.hooks.RemovableHandle] = []

    def unhook() -> None:
        while hooks:
            hooks.pop().remove()

    def first(module: torch.nn.Module, inputs: Any) -> None:
        unhook()
        action()

    hooks += [module.register_forward_pre_hook(first) for module in modules]
    try:
        yield
    finally:
        unhook()
