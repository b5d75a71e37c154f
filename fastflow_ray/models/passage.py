"""The steps behind a checkpoint, which a pipeline walks over without network and integrator to go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import InvalidInput, UnusableCheckpoint
from fastflow_ray.sampling.grid import fingerprint
from fastflow_ray.sampling.machine import Machine


class Passage:
    """Of one trajectory; raises UnusableCheckpoint for a checkpoint of another."""

    def __init__(self, checkpoint: Checkpoint, sigmas: Tensor) -> None:
        """On the grid `sigmas`, shape (steps + 1,), and on their device."""
        with _believing():
            if checkpoint.grid != fingerprint(sigmas) or not 0 < checkpoint.step < len(sigmas) - 1:
                raise InvalidInput("it is of another grid")
            self._checkpoint = checkpoint.to(sigmas.device)
            self._left = checkpoint.step

    @property
    def is_under_way(self) -> bool:
        """Whether the present step lies behind the checkpoint."""
        return self._left > 0

    @property
    def latents(self) -> Tensor:
        """Where it leads to."""
        return self._checkpoint.latents

    def over(self, sample: Tensor) -> Tensor:
        """What the pipeline gets for the present step: its sample as it was, or at last the checkpoint's latents."""
        self._left -= 1
        return sample if self._left else self.latents

    def machine(self, make: Callable[[], Machine], sample: Tensor) -> Machine:
        """A fresh machine that stands at the checkpoint."""
        with _believing():
            if self.latents.shape != sample.shape:
                raise InvalidInput(f"its sample has the shape {tuple(self.latents.shape)}")
            machine = make()
            machine.restore(self._checkpoint.machine, self.latents)
        machine.trace.resumed.append(self._checkpoint.step)
        return machine


@contextmanager
def _believing() -> Iterator[None]:
    """Turn what contradicts itself in a checkpoint into UnusableCheckpoint."""
    try:
        yield
    except (InvalidInput, LookupError, TypeError, ValueError, AttributeError) as damage:
        raise UnusableCheckpoint(f"it does not fit this generation: {damage}") from damage
