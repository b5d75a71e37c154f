"""The states of a job and the moves between them; `queue/scripts/` makes each move in one script."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"  # ready for any worker
    DELAYED = "delayed"  # waits for its time: submitted with a delay, or backing off after a failure
    RUNNING = "running"  # one worker holds its lease
    SUCCEEDED = "succeeded"  # its manifest is in the store
    DEAD = "dead"  # failed for good; `redrive` gives it another life
    CANCELLED = "cancelled"  # by its user


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED})

BLAMED = frozenset({JobState.DELAYED, JobState.DEAD, JobState.CANCELLED})  # its record says what went wrong, if any

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.DEAD, JobState.CANCELLED}),  # dead: past its deadline
    JobState.DELAYED: frozenset({JobState.QUEUED, JobState.DEAD, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.DELAYED, JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.DEAD: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset(),
}
