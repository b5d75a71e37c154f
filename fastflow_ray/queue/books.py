"""The conservation check: every job ever submitted is somewhere, and whatever counts jobs counts the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastflow_ray.counted import counted


@dataclass(frozen=True)
class Books:
    """What a queue has counted, each number by a way of its own."""

    # The jobs by state, in the order of JobState.
    queued: int
    delayed: int
    running: int
    succeeded: int
    dead: int
    cancelled: int
    # Ever.
    submitted: int
    forgotten: int  # deleted on request, or purged
    expired: int  # their records, some time after the job's end
    struck: int  # whose record somebody deleted by hand
    # What stands beside the states and has to agree with them.
    listed: int
    ready: int  # in the lanes, or to be looked for only
    waiting: int  # by tenant
    working: int  # by tenant

    @property
    def on_the_books(self) -> int:
        """The sum of all states."""
        return self.queued + self.delayed + self.running + self.succeeded + self.dead + self.cancelled

    def complaints(self) -> Iterator[str]:
        """What does not add up, a sentence each; nothing: all is well."""
        accounted = self.on_the_books + self.forgotten + self.expired + self.struck
        if self.submitted != accounted:
            were = counted(self.submitted, "job was", "jobs were")
            yield f"{were} submitted, {counted(accounted, 'is', 'are')} accounted for"
        if self.listed != self.on_the_books:
            are = counted(self.on_the_books, "job is", "jobs are")
            yield f"{are} in a state, {counted(self.listed, 'is', 'are')} listed"
        if self.ready != self.queued:
            ready = counted(self.ready, "stands in a lane or is a look", "stand in a lane or are looks")
            yield f"{counted(self.queued, 'job is', 'jobs are')} queued, {ready}; the rest would never run"
        if self.waiting != self.queued + self.delayed:
            wait = counted(self.queued + self.delayed, "job waits", "jobs wait")
            yield f"{wait}, the tenants' counts say {self.waiting}"
        if self.working != self.running:
            yield f"{counted(self.running, 'job runs', 'jobs run')}, the tenants' counts say {self.working}"
