"""Putting scheduler and gates on a diffusers pipeline, and taking them off again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.errors import AccelerationUnavailable, InvalidInput
from fastflow_ray.models.gate import Gate
from fastflow_ray.models.scheduler import FastFlowScheduler, MachineFor
from fastflow_ray.sampling.trace import Trace

if TYPE_CHECKING:
    from fastflow_ray.planning.trial import Trial

TRANSFORMERS = ("transformer", "transformer_2")  # Wan 2.2 has a second expert


class Decider(Protocol):
    """What the decisions of one generation are made from."""

    def state(self) -> Mapping[str, Any]:
        """All of it that another process needs to decide the same, as JSON values."""


@dataclass
class Attachment:
    """A pipeline under acceleration."""

    scheduler: FastFlowScheduler
    # Of the latest call, where it was planned: to be held once it has ended. A resumed one has none: its audit would
    # have to be begun anew, and there are always others to learn from.
    trial: Trial | None = None
    policy: Decider | None = None  # of the latest call

    @property
    def trace(self) -> Trace:
        """Of the latest call, growing while it runs; of 0 steps before the first."""
        return self.scheduler.trace

    @property
    def resumes(self) -> Checkpoint | None:
        """What the next call goes on from."""
        return self.scheduler.resumes

    def resume(self, checkpoint: Checkpoint) -> None:
        """Let the next call, asked for the same, go on from there; it raises UnusableCheckpoint if it cannot."""
        self.scheduler.resumes = checkpoint

    def checkpoint(self) -> Checkpoint:
        """Where the present call stands, between two of its steps. Waits for the device."""
        return self.scheduler.checkpoint(self.policy.state() if self.policy is not None else {})


@contextmanager
def attach(pipe: Any, machine_for: MachineFor) -> Iterator[Attachment]:
    """Let a fresh machine from `machine_for(sigmas, shape, restarts)` walk every call inside the `with`.

    On leaving, however, the pipeline has its own scheduler and plain transformers again. Raises
    AccelerationUnavailable for pipelines that cannot carry it, InvalidInput if one is attached already.
    """
    stock = pipe.scheduler
    if isinstance(stock, FastFlowScheduler):
        raise InvalidInput("this pipeline is attached already; leave the first `with` before entering another")
    scheduler = FastFlowScheduler.like(stock, machine_for, pipe.config.get("boundary_ratio"))
    gates = [Gate(transformer, lambda: scheduler.is_skipping) for transformer in _transformers(pipe)]
    scheduler.count(gates)
    with ExitStack() as leaving:
        for gate in gates:
            gate.install()
            leaving.callback(gate.remove)
        pipe.scheduler = scheduler
        leaving.callback(setattr, pipe, "scheduler", stock)
        yield Attachment(scheduler)


def _transformers(pipe: Any) -> list[Any]:
    found = [getattr(pipe, name, None) for name in TRANSFORMERS]
    transformers = [transformer for transformer in found if transformer is not None]
    if not transformers:
        raise AccelerationUnavailable(f"{type(pipe).__name__} has no transformer to skip; run it without acceleration")
    return transformers
