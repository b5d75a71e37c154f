"""FastFlow one step at a time, for a caller that owns the loop itself. Decides as `sampling.fastflow` does."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.machine import Euler
from fastflow_ray.sampling.skip_policy import SkipPolicy
from fastflow_ray.sampling.skips import longest_skip
from fastflow_ray.sampling.state import State
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.velocity_history import VelocityHistory


class StepMachine:
    """A `Machine` that walks `sigmas`, shape (steps + 1,), and lets a policy decide as it goes."""

    def __init__(self, sigmas: Tensor, policy: SkipPolicy, restarts: Collection[int] = ()) -> None:
        self.trace = Trace(steps=len(sigmas) - 1)
        self._sigmas = sigmas
        self._policy = policy
        self._restarts = restarts
        self._history = VelocityHistory()
        self._step = 0
        self._next_evaluation = 0
        self._skip: tuple[int, int] | None = None  # (step, skipped) that the next evaluation ends

    @property
    def is_skipping(self) -> bool:
        """Whether the present step does without the network."""
        return self._step < self._next_evaluation

    def advance(self, velocity: Tensor, x: Tensor, euler: Euler) -> Tensor:
        """As `Machine` says: by `velocity` and x as they are if the step is evaluated, else by the prediction,
        float32."""
        if self.is_skipping:
            velocity = self._history.predict(self._sigmas[self._step])
        else:
            self._learn(velocity)
            self._decide()
        self._step += 1
        return euler(velocity, x)

    def state(self) -> State:
        """As `Machine` says; of the policy only what it decided, which the trace tells."""
        known = self._history.evaluations
        velocities = {f"velocity_{i}": velocity for i, (_, velocity) in enumerate(known)}
        sigmas = {"sigmas": torch.stack([sigma for sigma, _ in known])} if known else {}
        walk = {"step": self._step, "next_evaluation": self._next_evaluation, "skip": self._skip}
        return State(velocities | sigmas, walk | {"remembered": len(known), "trace": self.trace.to_dict()})

    def restore(self, state: State, x: Tensor) -> None:
        """As `Machine` says; the policy, which is another, is told what the skips so far have cost."""
        facts = state.facts
        step, self._next_evaluation = int(facts["step"]), int(facts["next_evaluation"])
        if not 0 < step <= self._next_evaluation or step >= self.trace.steps:
            raise InvalidInput(f"no trajectory of {self.trace.steps} steps stands at step {step}")
        if facts["skip"] is not None:
            began, skipped = facts["skip"]
            self._skip = (int(began), int(skipped))
        self.trace.restore(facts["trace"])
        self._step = step
        velocities = state.like(x, *(f"velocity_{i}" for i in range(facts["remembered"])))
        for sigma, velocity in zip(state.tensors.get("sigmas", ()), velocities, strict=True):
            self._history.append(sigma, velocity)
        for error in self.trace.errors:
            self._policy.observe(*error)

    def finish(self) -> None:
        """As `Machine` says."""
        self._policy.finish()

    def _learn(self, velocity: Tensor) -> None:
        sigma = self._sigmas[self._step]
        self.trace.evaluated.append(self._step)
        if self._skip is not None:
            error = self._history.error(sigma, velocity)
            self.trace.errors.append((*self._skip, error))
            self._policy.observe(*self._skip, error)
        if self._step in self._restarts:
            self._history.clear()
        self._history.append(sigma, velocity.to(torch.float32, copy=True))  # it may be overwritten

    def _decide(self) -> None:
        skipped, self._skip = 0, None
        longest = longest_skip(self._step, self.trace.steps, self._restarts)
        if self._history.ready and longest >= 0:
            skipped = self._policy.choose(self._step, longest)
            self._skip = (self._step, skipped)
            self.trace.skips.append(self._skip)
        self._next_evaluation = self._step + skipped + 1
