"""A trajectory one step at a time, as a caller that owns the loop drives it: a diffusers scheduler, for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from fastflow_ray.sampling.state import State
from fastflow_ray.sampling.trace import Trace

Euler = Callable[[Tensor, Tensor], Tensor]  # (velocity, x) → x + dsigma·velocity over the present step


class Machine(Protocol):
    """Ask `is_skipping`, run the network or not, then `advance`; at the end, once x is known to be sound, `finish`."""

    trace: Trace  # all but `nfe`, which whoever runs the network counts

    @property
    def is_skipping(self) -> bool:
        """Whether the present step does without the network."""

    def advance(self, velocity: Tensor, x: Tensor, euler: Euler) -> Tensor:
        """x at the next step, which then is the present one.

        Args:
            velocity: the network's, of any dtype; of its shape and dtype only, where the step skips.
            x: the present sample: what `advance` answered last, perhaps in the dtype of the last `velocity`.
            euler: takes the step; called once.
        """

    def state(self) -> State:
        """Where it stands, between two steps: what `restore` makes another machine stand there by."""

    def restore(self, state: State, x: Tensor) -> None:
        """Stand where `state` was taken, and x was handed out; for a machine that has not begun, on the same grid.

        Raises InvalidInput, KeyError, TypeError or ValueError for what no machine of this kind has left.
        """

    def finish(self) -> None:
        """The trajectory has reached its end, and its sample is finite: learn from it."""
