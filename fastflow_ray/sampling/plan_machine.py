"""A planned trajectory one step at a time, for a caller that owns the loop itself. Walks as `sampling.planned` does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.machine import Euler
from fastflow_ray.sampling.plan import REMEMBERED, Plan, combine, go_again
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.state import State
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.watch import Watch, unwatched


class PlanMachine:
    """A `Machine` that owns x in float32, so that re-integration is not rounded to the model's dtype at every step.

    Between steps it holds three tensors of x's shape beside x: x where the latest skip began, and the two velocities
    that predictions are made of. A third is there while a skip is gone again.
    It waits for the device only where its watch does, once per evaluation.

    A caller may alter x between steps, as inpainting does: what came back less what was handed out is added to x, and
    to where the skip began. Alter a copy, though: of a float32 x changed in place, re-integration knows nothing.
    """

    def __init__(self, plan: Plan, learn: Callable[[Sightings, Plan], None], watch: Watch = unwatched) -> None:
        """`learn` is told at the end what was seen and which plan was walked; `watch` is as in `planned`."""
        self.trace = Trace(steps=plan.steps, plan=plan)
        self._watch = watch
        self._learn = learn
        self.sightings = Sightings()
        self._step = 0
        self._x: Tensor | None = None  # None: the trajectory has not begun, or it has ended
        self._dtype = torch.float32  # x was handed out rounded to it
        self._start: Tensor | None = None  # x at the latest evaluation, as it was integrated from
        self._known: list[Tensor] = []  # the latest velocities evaluated, as they went along, oldest first

    @property
    def is_skipping(self) -> bool:
        """Whether the present step does without the network."""
        return self._step in self._plan.predict

    @property
    def _plan(self) -> Plan:
        assert self.trace.plan is not None  # it begins with one
        return self.trace.plan

    def advance(self, velocity: Tensor, x: Tensor, euler: Euler) -> Tensor:
        """As `Machine` says; float32."""
        x = self._taken_back(x)
        if self.is_skipping:
            v = combine(self._plan.predict[self._step], self._known)
        else:
            x, v = self._evaluated(velocity.to(torch.float32, copy=True), x)  # it may be overwritten
        self._x, self._dtype = euler(v, x), velocity.dtype
        self._step += 1
        return self._x

    def state(self) -> State:
        """As `Machine` says; without x where it was handed out as it is."""
        seen = self.sightings.state()
        x = {"x": self._x} if self._x is not None and self._dtype is not torch.float32 else {}
        known = {f"velocity_{i}": velocity for i, velocity in enumerate(self._known)}
        walk = {"step": self._step, "remembered": len(self._known), "trace": self.trace.to_dict()}
        start = {"start": self._start} if self._start is not None else {}
        return State({**seen.tensors, **x, **start, **known}, walk | {"seen": seen.facts})

    def restore(self, state: State, x: Tensor) -> None:
        """As `Machine` says."""
        step, remembered = int(state.facts["step"]), int(state.facts["remembered"])
        if not 0 < step < self.trace.steps or not 0 < remembered <= REMEMBERED:
            raise InvalidInput(f"no trajectory of {self.trace.steps} steps stands at step {step}")
        self.trace.restore(state.facts["trace"])
        self.sightings.restore(State(state.tensors, state.facts["seen"]), x)
        self._start, *self._known = state.like(x, "start", *(f"velocity_{i}" for i in range(remembered)))
        self._x = state.like(x, "x")[0] if "x" in state.tensors else x
        self._step, self._dtype = step, x.dtype

    def finish(self) -> None:
        """As `Machine` says; lets go of every tensor."""
        if self._x is not None:
            self.sightings.end(self._x)
        self._x, self._start, self._known = None, None, []
        self._learn(self.sightings, self._plan)

    def _taken_back(self, x: Tensor) -> Tensor:
        """Our own x, with whatever the caller changed in what it was handed."""
        if self._x is None:
            return x.to(torch.float32)
        if x is self._x:
            return x
        change = x.to(torch.float32) - self._x.to(self._dtype).to(torch.float32)
        if self._start is not None:
            self._start = self._start + change
        return self._x + change

    def _evaluated(self, evaluated: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """x to go on from, the skip that ends here gone again where the plan says so, and the velocity there."""
        v = evaluated
        if self._start is not None:
            x, v = go_again(self._plan, self._step, self._start, x, [*self._known, evaluated])
        self._start, self._known = x, [*self._known, v][-REMEMBERED:]
        self.sightings.add(self._step, x, evaluated)
        self.trace.plan = self._watch(self._plan, self.sightings)
        self.trace.evaluated.append(self._step)
        self.trace.skips.append((self._step, self._plan.skipped_after(self._step)))
        return x, v
