"""FastFlow as a diffusers scheduler: owns grid, history and decisions, and sees the velocity after guidance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteSchedulerOutput
from torch import Tensor

from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import AccelerationUnavailable
from fastflow_ray.models.gate import Gate
from fastflow_ray.models.passage import Passage
from fastflow_ray.sampling.grid import check_grid, fingerprint
from fastflow_ray.sampling.machine import Machine
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.velocity_history import check_finite

# (sigmas, shape of the sample, steps at which another network takes over) → what walks one trajectory
MachineFor = Callable[[Tensor, Sequence[int], Collection[int]], Machine]


def flow_euler(scheduler: Any, shift: float | None = None) -> FlowMatchEulerDiscreteScheduler:
    """The reference: flow-Euler on the grid of a pipeline's own scheduler, or on the grid of another `shift`.

    Wan's checkpoints ship UniPC, whose `flow_shift` becomes the shift. Raises AccelerationUnavailable for schedulers
    that do not follow a deterministic flow.
    """
    config = dict(scheduler.config)
    native = isinstance(scheduler, FlowMatchEulerDiscreteScheduler) and not config["stochastic_sampling"]
    if not native and config.get("prediction_type") != "flow_prediction":
        raise AccelerationUnavailable(
            f"{type(scheduler).__name__} does not integrate a deterministic flow; give the pipeline a"
            " FlowMatchEulerDiscreteScheduler, or run it without acceleration"
        )
    if "flow_shift" in config:
        config["shift"] = config["flow_shift"]
    if shift is not None:
        config |= {"shift": shift, "use_dynamic_shifting": False}
    known = signature(FlowMatchEulerDiscreteScheduler.__init__).parameters
    reference = FlowMatchEulerDiscreteScheduler(**{name: config[name] for name in known if name in config})
    if native and shift is None:
        reference.set_shift(scheduler.shift)  # `set_shift` leaves no mark in the config
    return reference


class FastFlowScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]  # diffusers has no types
    """Flow-Euler that ignores the model's output on skipped steps and integrates a prediction instead.

    Every step is the stock scheduler's own, so where nothing is skipped the result is the same bit for bit (by a plan,
    of a float32 model: its x stays float32). `trace` tells of the trajectory while it runs: `len(trace.evaluated)` of
    the steps taken so far ran the network.

    A pipeline resumes a trajectory by walking its own loop from the start: over the steps behind the checkpoint neither
    the network nor the integrator is run, and the last of them answers the checkpoint's latents. So loop index,
    timesteps, experts and random numbers are where they would be.
    """

    trace: Trace  # of the latest trajectory; of 0 steps before the first
    resumes: Checkpoint | None  # what the next trajectory goes on from; None once it has begun
    _passage: Passage | None  # over the steps behind it, for as long as it lasts
    _latents: Tensor | None  # as handed out last
    _nfe_before: int  # network evaluations before the checkpoint
    _gates: list[Gate]
    _machine: Machine | None
    _machine_for: MachineFor
    _boundary_ratio: float | None

    @classmethod
    def like(cls, scheduler: Any, machine_for: MachineFor, boundary_ratio: float | None = None) -> FastFlowScheduler:
        """On the grid of `scheduler`. Below `boundary_ratio` of the training timesteps another network takes over
        (Wan 2.2): its first step is evaluated and a new history starts there."""
        reference = flow_euler(scheduler)
        twin: FastFlowScheduler = cls.from_config(reference.config)
        twin.set_shift(reference.shift)
        twin.trace, twin._gates, twin._machine = Trace(steps=0), [], None
        twin._machine_for, twin._boundary_ratio = machine_for, boundary_ratio
        twin.resumes, twin._passage, twin._latents, twin._nfe_before = None, None, None, 0
        return twin

    @property
    def is_skipping(self) -> bool:
        """Whether the present step does without the network."""
        return self._passage is not None or (self._machine is not None and self._machine.is_skipping)

    def checkpoint(self, policy: Mapping[str, Any]) -> Checkpoint:
        """Where the trajectory stands, between two of its steps, in this machine's memory. Waits for the device."""
        assert self._machine is not None  # a step has been taken
        assert self._latents is not None
        grid, state = fingerprint(self.sigmas), self._machine.state()
        return Checkpoint(grid, self._latents, state, policy).to("cpu")

    def count(self, gates: Iterable[Gate]) -> None:
        """Take the count of network evaluations from these gates, which every evaluation has to pass."""
        self._gates = list(gates)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,  # HunyuanVideo looks whether there is an argument of this name
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """As the stock scheduler's; a trajectory begins, or goes on. Raises InvalidInput for an unsound grid."""
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)
        check_grid(1 - self.sigmas if self.config.invert_sigmas else self.sigmas)
        self.trace, self._machine = Trace(steps=len(self.timesteps)), None
        self._latents, self._nfe_before = None, 0
        self._passage = Passage(self.resumes, self.sigmas) if self.resumes is not None else None
        for gate in self._gates:
            gate.begin(like=self._passage.latents if self._passage is not None else None)

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor,
        sample: Tensor,
        *args: Any,
        return_dict: bool = True,
        **kwargs: Any,
    ) -> FlowMatchEulerDiscreteSchedulerOutput | tuple[Tensor]:
        """As the stock scheduler's, with the prediction in place of `model_output` on a skipped step."""
        stock = super().step

        def euler(velocity: Tensor, x: Tensor) -> Tensor:
            after: Tensor = stock(velocity, timestep, x, *args, return_dict=False, **kwargs)[0]
            return after

        if self._machine is None:
            self._machine = self._begin(timestep, sample)
        if self._passage is not None:
            return _answer(self._pass_over(self._passage, sample), return_dict)
        if self.trace.plan is not None and kwargs.get("per_token_timesteps") is not None:
            raise AccelerationUnavailable("this pipeline gives each token a sigma of its own; run it without a plan")
        skipped = self._machine.is_skipping
        x = self._machine.advance(model_output, sample, euler).to(model_output.dtype)
        self._count_evaluations(skipped)
        self._latents = x
        if self.step_index == len(self.timesteps):
            check_finite(x, self.trace.skipped)
            self._machine.finish()
            self._latents = None
        return _answer(x, return_dict)

    def _begin(self, timestep: Tensor, sample: Tensor) -> Machine:
        """A machine for the steps from here to the end: a pipeline that starts from a video enters the grid midway."""
        if self.step_index is None:
            self._init_step_index(timestep)
        sigmas = self.sigmas[self.step_index :]

        def make() -> Machine:
            return self._machine_for(sigmas, tuple(sample.shape), self._restarts())

        machine = self._passage.machine(make, sample) if self._passage is not None else make()
        self.trace, self.resumes, self._nfe_before = machine.trace, None, machine.trace.nfe
        return machine

    def _pass_over(self, passage: Passage, sample: Tensor) -> Tensor:
        self._step_index += 1
        self._latents = passage.over(sample)
        if not passage.is_under_way:
            self._passage = None  # it holds tensors
        return self._latents

    def _restarts(self) -> frozenset[int]:
        if self._boundary_ratio is None:
            return frozenset()
        timesteps = self.timesteps[self.step_index :]
        first_expert = timesteps >= self._boundary_ratio * self.config.num_train_timesteps
        change = int(first_expert.sum())
        return frozenset({change}) if 0 < change < len(timesteps) else frozenset()

    def _count_evaluations(self, skipped: bool) -> None:
        before, self.trace.nfe = self.trace.nfe, self._nfe_before + sum(gate.nfe for gate in self._gates)
        if self._gates and not skipped and self.trace.nfe == before:
            raise AccelerationUnavailable(
                "the network ran without passing its gate; attach after moving, offloading or compiling the pipeline"
            )


def _answer(x: Tensor, return_dict: bool) -> FlowMatchEulerDiscreteSchedulerOutput | tuple[Tensor]:
    return FlowMatchEulerDiscreteSchedulerOutput(prev_sample=x) if return_dict else (x,)
