"""What a trajectory lets one see of the network, on a few coordinates: enough to learn from, and never a wait.

Inner products over a fixed subset of coordinates plan as well as over all of them, so nothing large is kept, and the
device is waited for once, at the end.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput
from fastflow_ray.sampling.plan import Plan, combine
from fastflow_ray.sampling.state import State

COORDINATES = 1024  # per sample of the batch


class Sightings:
    """The evaluated steps of one trajectory, and a subset of x and v there."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self._x: list[Tensor] = []
        self._v: list[Tensor] = []

    def add(self, step: int, x: Tensor, v: Tensor) -> None:
        """Evaluated `step`, saw the velocity v, and went on from x (set back by then, if at all); shapes (batch, …)."""
        self.steps.append(step)
        self._x.append(_subset(x))
        self._v.append(_subset(v))

    def end(self, x: Tensor) -> None:
        """The trajectory has arrived at x."""
        self._x.append(_subset(x))

    def state(self) -> State:
        """What was seen so far; of a trajectory that has begun."""
        return State({"seen_x": torch.stack(self._x), "seen_v": torch.stack(self._v)}, {"steps": list(self.steps)})

    def restore(self, state: State, x: Tensor) -> None:
        """Have seen what `state` tells, of samples like x; raises InvalidInput, KeyError, TypeError or ValueError."""
        steps = [int(step) for step in state.facts["steps"]]
        seen_x, seen_v = state.tensors["seen_x"], state.tensors["seen_v"]
        if not seen_x.shape == seen_v.shape == (len(steps), len(_subset(x))):
            seen = counted(len(steps), "sample and velocity has", "samples and velocities have")
            raise InvalidInput(f"{seen} to be seen, of so many coordinates as x has")
        self.steps, self._x, self._v = steps, list(seen_x), list(seen_v)

    def miss(self, plan: Plan, position: int = -1) -> float | None:
        """Squared error per coordinate of the plan's prediction of the evaluation at `position`, the latest unless
        said; None where it made no prediction. Both as they were evaluated, though the walk predicts from velocities
        that went along where x was set back. Waits for the device, once.
        """
        weights = plan.foresee.get(self.steps[position])
        if weights is None:
            return None
        end = len(self._v) + position if position < 0 else position
        predicted = combine(weights, self._v[:end])  # weights sent as a tensor would be waited for too
        return float((predicted - self._v[end]).square().mean())

    def misses(self, plan: Plan) -> list[tuple[int, float]]:
        """(evaluated step, squared error per coordinate) of every prediction the plan made of an evaluation."""
        seen = ((step, self.miss(plan, position)) for position, step in enumerate(self.steps))
        return [(step, error) for step, error in seen if error is not None]

    @property
    def x(self) -> NDArray[np.float64]:
        """(evaluated + 1, coordinates): at each evaluated step, and at the end."""
        return _numpy(self._x)

    @property
    def noise(self) -> NDArray[np.float64]:
        """(coordinates,): x where the trajectory began."""
        return _numpy(self._x[:1]).reshape(-1)

    @property
    def v(self) -> NDArray[np.float64]:
        """(evaluated, coordinates)."""
        return _numpy(self._v)

    @property
    def gram(self) -> NDArray[np.float64]:
        """Inner products of the velocities per coordinate: (evaluated, evaluated)."""
        v = self.v
        gram: NDArray[np.float64] = v @ v.T / v.shape[1]
        return gram


def _subset(tensor: Tensor) -> Tensor:
    """At most `COORDINATES` of each sample, evenly spread; the same ones for every tensor of this shape. A copy: a view
    would keep the whole tensor alive."""
    samples = tensor.detach().reshape(len(tensor), -1)
    stride = -(-samples.shape[1] // COORDINATES)
    return samples[:, ::stride].to(torch.float32, copy=True).flatten()


def _numpy(rows: list[Tensor]) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = torch.stack(rows).cpu().double().numpy()
    return numbers
