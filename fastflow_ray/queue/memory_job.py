"""A job of the in-memory twin: what the Redis queue keeps in a hash and in the scores of its sorted sets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import BLAMED, TERMINAL, JobState
from fastflow_ray.queue.contract import Claim, JobRecord, Progress
from fastflow_ray.queue.submission import Submission


@dataclass
class MemoryJob:
    """One of them; whoever changes it holds the state's `changed`."""

    new: Submission
    cost: float
    created_s: float
    state: JobState = JobState.QUEUED
    until_s: float = 0.0  # ready since (queued), due (delayed), lease deadline (running), end of the record (terminal)
    seq: int = 0
    paid: float = 0.0  # of its tenant's turns, by the last claim
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    heartbeats: int = 0
    claimed_s: float | None = None
    finished_s: float | None = None
    worker: str | None = None
    nonce: str = ""  # of the last claim
    waited_s: float = 0.0  # for the last claim
    look_only: str = ""  # the code it ends with unless its result is found; empty: it may be made
    progress: Progress = field(default_factory=Progress)
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    cancel_requested: bool = False
    cancel_asked_s: float | None = None
    lease_s: float = 0.0
    deadline_s: float = math.inf  # when no attempt may begin any more

    @property
    def tenant(self) -> str:
        return self.new.job.tenant

    @property
    def lane(self) -> Lane:
        return self.new.job.lane or Lane.STANDARD

    @property
    def end_code(self) -> str:
        """What a job that is only looked for ends with; empty: it may be made."""
        return "cancelled" if self.look_only and self.cancel_requested else self.look_only

    @property
    def place(self) -> tuple[int, int]:
        return (-self.new.job.priority, self.seq)

    def claim(self) -> Claim:
        """What its worker was told."""
        return Claim(
            self.new.job_id, self.new.payload, self.attempts, self.crashes, self.fence, self.worker or "", self.lease_s,
            self.waited_s, look_only=bool(self.look_only),
        )  # fmt: skip

    def record(self, now_s: float) -> JobRecord:
        """As `RedisQueue` shows it."""
        runs, left_s = self.state is JobState.RUNNING, self.until_s - now_s
        failed = self.state in BLAMED
        return JobRecord(
            self.new.job_id, self.state, self.new.payload, self.tenant, self.attempts, self.crashes,
            self.created_s, self.claimed_s, self.finished_s, self.until_s if self.state in TERMINAL else None,
            self.worker, self.progress, self.result,
            self.error if failed else None, self.cancel_requested, self.cancel_asked_s,
            max(0.0, self.lease_s - left_s) if runs else None, left_s if runs else None,
        )  # fmt: skip
