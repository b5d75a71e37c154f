"""A plan: which steps to evaluate and how to go through the others, settled before the trajectory begins."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput

REMEMBERED = 2  # evaluated velocities held from step to step
Weights = tuple[float, ...]  # of the latest evaluated velocities, oldest first


@dataclass(frozen=True)
class Plan:
    """Everything a trajectory needs to be walked again, bit for bit. Steps count from 0 at sigma = 1.

    A skipped step k goes by `predict[k]`-weighted velocities evaluated before it. The evaluation at j that ends a skip
    tells more: x is set back to where the skip's first step began and goes to j again, by `integrate[j]`, weights in
    units of sigma of the remembered velocities and of the one just evaluated. Steps without weights there are not
    gone again. The velocity was evaluated where x has been moved away from, and goes along by `respond[j]` times the
    way x was moved.
    """

    steps: int  # N, of the grid
    evaluated: tuple[int, ...]  # rising from 0
    predict: Mapping[int, Weights]  # skipped step → weights of at most `REMEMBERED` evaluations
    integrate: Mapping[int, Weights]  # evaluated step → weights of at most `REMEMBERED` and its own, the last
    foresee: Mapping[int, Weights] = field(default_factory=dict)  # evaluated step → what predicts it, for who watches
    respond: Mapping[int, float] = field(default_factory=dict)  # step gone again to → velocity per move of x
    grid: str | None = None  # fingerprint of the grid that the weights are for; None: any, or it was not noted then

    def __post_init__(self) -> None:
        if list(self.evaluated) != sorted(set(self.evaluated) & set(range(self.steps))) or self.evaluated[:1] != (0,):
            raise InvalidInput(f"a plan's evaluated steps have to rise from 0 and stay below {self.steps}")
        if set(self.predict) != set(range(self.steps)) - set(self.evaluated):
            raise InvalidInput("a plan needs weights for exactly the steps it does not evaluate")
        if not set(self.integrate) | set(self.foresee) <= set(self.evaluated[1:]):
            raise InvalidInput("a plan can go again only to a later step it evaluates, and foresee only such a one")
        if not set(self.respond) <= set(self.integrate):
            raise InvalidInput("a plan's velocities can respond only where it goes again")
        weights = [*self.predict.values(), *self.integrate.values(), *self.foresee.values()]
        weights += [(response,) for response in self.respond.values()]
        if not all(row and all(math.isfinite(weight) for weight in row) for row in weights):
            raise InvalidInput("a plan's weights have to be finite")
        foretold = {**self.predict, **self.foresee}
        if any(len(row) > REMEMBERED for row in foretold.values()) or any(
            len(row) > REMEMBERED + 1 for row in self.integrate.values()
        ):
            raise InvalidInput(f"a plan may weigh {REMEMBERED} velocities at most, and the one that ends a skip")
        if any(len(row) > self._before(step) for step, row in foretold.items()) or any(
            len(row) > self._before(step) + 1 for step, row in self.integrate.items()
        ):
            raise InvalidInput("a plan may weigh only velocities that were evaluated before")

    @property
    def evaluations(self) -> int:
        """How many steps run the network."""
        return len(self.evaluated)

    @property
    def skips(self) -> list[tuple[int, int]]:
        """(evaluated step, steps skipped after it), for every evaluated step."""
        ends = (*self.evaluated[1:], self.steps)
        return [(start, end - start - 1) for start, end in zip(self.evaluated, ends, strict=True)]

    def check(self, steps: int, grid: str | None = None) -> None:
        """Raise InvalidInput unless it is for a grid of so many steps, and for the one of this fingerprint, if known:
        its weights are in units of sigma, and on another grid would go too far at some steps and not far enough at
        others."""
        if steps != self.steps:
            raise InvalidInput(
                f"the plan is for {counted(self.steps, 'step')}, the grid has {steps}; plan for this grid"
            )
        if grid is not None and self.grid not in (None, grid):
            raise InvalidInput(
                f"the plan is for another grid of {counted(steps, 'step')}, as of another shift; plan for this grid"
            )

    def skipped_after(self, step: int) -> int:
        """Steps skipped between evaluated `step` and the next evaluation, or the end."""
        return next((later for later in self.evaluated if later > step), self.steps) - step - 1

    def _before(self, step: int) -> int:
        """How many evaluations come before `step`."""
        return bisect_left(self.evaluated, step)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; floats keep every bit."""
        return {
            "steps": self.steps,
            "evaluated": list(self.evaluated),
            "predict": {str(step): list(weights) for step, weights in self.predict.items()},
            "integrate": {str(step): list(weights) for step, weights in self.integrate.items()},
            "foresee": {str(step): list(weights) for step, weights in self.foresee.items()},
            "respond": {str(step): response for step, response in self.respond.items()},
            "grid": self.grid,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Plan:
        """What `to_dict` described; raises InvalidInput if it is damaged."""
        try:
            return cls(
                steps=int(fields["steps"]),
                evaluated=tuple(int(step) for step in fields["evaluated"]),
                predict=_weights(fields["predict"]),
                integrate=_weights(fields["integrate"]),
                foresee=_weights(fields.get("foresee", {})),
                respond={int(step): float(response) for step, response in fields.get("respond", {}).items()},
                grid=None if (grid := fields.get("grid")) is None else str(grid),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as damage:
            raise InvalidInput(f"this is not a plan: {damage!r}") from damage


def combine(weights: Sequence[float], velocities: Sequence[Tensor]) -> Tensor:
    """The weighted sum of the last `len(weights)` velocities, float32."""
    latest = velocities[len(velocities) - len(weights) :]
    total = torch.mul(latest[0], weights[0])
    for weight, velocity in zip(weights[1:], latest[1:], strict=True):
        total.add_(velocity, alpha=weight)
    return total


def go_again(plan: Plan, step: int, start: Tensor, x: Tensor, known: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """x at evaluated `step` by the way that was gone again from `start`, and the velocity there.

    `known` are the latest velocities, oldest first, the last of them evaluated where the prediction had led, at x.
    Where the plan does not go again, both are as they were.
    """
    if step not in plan.integrate:
        return x, known[-1]
    again = start + combine(plan.integrate[step], known)
    if step not in plan.respond:
        return again, known[-1]
    return again, (again - x).mul_(plan.respond[step]).add_(known[-1])


def _weights(rows: Mapping[str, Sequence[float]]) -> dict[int, Weights]:
    return {int(step): tuple(float(weight) for weight in row) for step, row in rows.items()}
