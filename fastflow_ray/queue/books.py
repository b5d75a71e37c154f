"""The conservation check: every job ever submitted is somewhere, and whatever counts jobs counts the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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
            yield f"{self.submitted} jobs were submitted, {accounted} are accounted for"
        if self.listed != self.on_the_books:
            yield f"{self.on_the_books} jobs are in a state, {self.listed} are listed"
        if self.ready != self.queued:
            yield f"{self.queued} jobs are queued, {self.ready} stand in a lane or are looks; the rest would never run"
        if self.waiting != self.queued + self.delayed:
            yield f"{self.queued + self.delayed} jobs wait, the tenants' counts say {self.waiting}"
        if self.working != self.running:
            yield f"{self.running} jobs run, the tenants' counts say {self.working}"
