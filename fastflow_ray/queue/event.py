"""What happened to jobs, in order: an entry per transition. A value."""

from __future__ import annotations

from dataclasses import dataclass

from fastflow_ray.jobs.states import JobState

BEGINNING = "0-0"  # the place before the first of all events
KEPT = 10_000  # so many events at least; `scripts/prelude/moves.lua` says it too


@dataclass(frozen=True)
class Event:
    """A job came into a state."""

    event_id: str  # rises; "<ms since the epoch>-<n>" by the server's clock
    job_id: str
    state: JobState
    attempt: int
    worker: str  # who has it, or had it last
    why: str = ""  # what went wrong, as an error's code; for a job that came back `worker_lost` or `released`

    @property
    def at_s(self) -> float:
        """Seconds since the epoch."""
        return int(self.event_id.partition("-")[0]) / 1000
