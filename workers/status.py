"""A worker at one moment, as it tells whoever asks. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WorkerState(StrEnum):
    """What a worker is doing, and the three states in which it cannot tell."""

    PENDING = "pending"  # created; waits for a GPU, or its process is starting
    ADOPTED = "adopted"  # there since before its supervisor, whom it has not answered yet: it may be busy, or frozen
    LOADING = "loading"  # reads the model
    IDLE = "idle"  # waits for a job
    BUSY = "busy"  # makes a video, or publishes one
    DRAINING = "draining"  # was told to leave: takes no more jobs
    LEAVING = "leaving"  # by itself, for its trouble or for it has done what it was to do
    GONE = "gone"  # left or died


@dataclass(frozen=True)
class WorkerStatus:
    """A worker at one moment."""

    name: str
    model: str  # the one it holds
    state: WorkerState
    rests: str  # why it takes no jobs, of any model; empty: it takes them
    job_id: str | None  # whose video it makes
    publishing: str | None  # the job whose video it publishes meanwhile
    busy_s: float  # in which the device made videos, since the first model was loaded
    idle_s: float  # in which it did not
    switches: int  # jobs that wanted another model than the one loaded
    feed_failures: int  # attempts to reach the fleet's statistics in vain
    ends: str = ""  # the code of the error that it ends by; empty: it does not
    node: str = ""  # where it runs, by Ray's id
    machine: str = ""  # whose node that is, by the name that stays when the node is another
