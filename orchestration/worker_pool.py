"""The workers of one fleet as its supervisor sees them, whatever runs them.

Knows nothing of Ray, of the queue, or of how many workers there should be.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from workers.status import WorkerState


@dataclass(frozen=True)
class WorkerSight:
    """One worker at one look."""

    name: str
    state: WorkerState
    job_id: str | None = None  # whose video it makes
    publishing: str | None = None  # the job whose video it publishes meanwhile
    rests: str = ""  # why it takes no jobs; empty: it takes them
    silent_s: float = 0.0  # since a question that is still unanswered; a pending worker is not asked
    ends: str = ""  # the code of the error that it ends by; empty: it does not
    node: str = ""  # where it runs; empty: not known yet
    machine: str = ""  # whose node that is

    @property
    def in_a_word(self) -> str:
        """What it does, for people."""
        return "resting" if self.rests and self.state is WorkerState.IDLE else self.state.value

    @property
    def job_ids(self) -> frozenset[str]:
        """In hand."""
        return frozenset(job_id for job_id in (self.job_id, self.publishing) if job_id is not None)


class WorkerPool(Protocol):
    """Every method may raise FleetUnavailable."""

    def look(self) -> Sequence[WorkerSight]:
        """All workers there are, those made by a predecessor too; whoever ended since the last look, once, as GONE."""

    def create(self, name: str, avoid: Collection[str] = ()) -> None:
        """Begin a worker; it stays pending until there is a GPU for it, on none of the nodes to avoid."""

    def drain(self, name: str) -> None:
        """Ask a worker to leave: it takes no more jobs, and gives back the one it has."""

    def kill(self, name: str) -> None:
        """End a worker at once; its job, if any, comes back when its lease has run out."""
