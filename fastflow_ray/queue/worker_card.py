"""Who serves a queue: a card per worker, and what stands between a waiting job and one of them. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

RESTING = "resting"  # the state of a worker that takes no job of this queue for a while


@dataclass(frozen=True)
class WorkerCard:
    """A worker as the queue knows it; gone when it has not been heard of for as long as its card is good.

    A worker of several models shows the same on the queue of each, whichever of them it is at, but for those it rests.
    """

    worker: str
    gpu: str = ""  # what it computes on, in words
    state: str = ""  # loading, idle, busy, draining, leaving or resting; empty: it has only been heard of
    job_id: str | None = None  # whose video it makes
    publishing: str | None = None  # the job whose video it publishes meanwhile
    why: str = ""  # it rests
    beats: int = 0  # heartbeats, for jobs of this queue
    silent_s: float = field(default=0.0, compare=False)  # since it was last heard of, as of the reading


@dataclass(frozen=True)
class Service:
    """A model's queue as those see it whose job waits there."""

    model: str
    workers: Sequence[WorkerCard]
    paused: str | None = None  # why no job is given out

    def obstacle(self) -> str | None:
        """Why a waiting job would wait in vain just now, in one sentence; None: it would not."""
        if self.paused is not None:
            return f"the queue of {self.model} is paused: {self.paused}"
        if not self.workers:
            return f"no worker serves {self.model} now; its jobs wait until one comes"
        if all(card.state == RESTING for card in self.workers):
            return f"all workers of {self.model} rest now; its jobs wait until one goes on: {self.workers[0].why}"
        return None
