"""The queue in Redis: one method per script of `scripts/`, which make every move atomic. Knows neither S3 nor Ray.

A call whose connection breaks is repeated for up to 5 s, since every move may run twice: the second run finds the job
as the first left it. A claim is known again by its nonce, so that a lost answer leaves no lease that nobody knows.
`fail` and `release` may then answer "lost" for a move that was made; the worker owes the job nothing in either case.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from random import Random
from typing import Any

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.connection import ANSWER_TIMEOUT_S, Connection
from fastflow_ray.queue.contract import Claim, Expired, JobRecord, Progress, QueueDepth, Verdict
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.limits import HOLD_S, MESSAGE_LIMIT, PAGE_LIMIT, QueueLimits
from fastflow_ray.queue.record import read_record, whole_number, write_progress
from fastflow_ray.queue.script import load_script
from fastflow_ray.queue.submission import (
    conflict,
    full,
    hold_digest,
    memory_full,
    no_such_cursor,
    settle,
    tenant_full,
    too_late,
)
from fastflow_ray.queue.worker_card import WorkerCard

SHORTEST_WAIT_S = 0.01  # BLPOP would take 0 for "for ever"
LONGEST_WAIT_S = ANSWER_TIMEOUT_S / 2  # below the socket's timeout, or a quiet queue would look like a dead server


class RedisQueue:
    """A JobQueue shared by every process that can reach the same Redis; safe to share between threads."""

    def __init__(self, connection: Connection, name: str, limits: QueueLimits, rng: Random | None = None) -> None:
        self.name = name
        self._connection = connection
        self._keys = QueueKeys(name)
        self._limits = limits
        self._rng = rng or Random()

    def submit(self, job: VideoJob, idempotency_key: str | None = None, cost: float = 1.0) -> JobRecord:
        """Store the job; a repeated call with the same key answers the job as it is."""
        new = settle(self.name, job, idempotency_key)
        stored = self._run(
            "submit",
            *(new.job_id, new.payload, new.digest),
            *(job.tenant, job.lane or Lane.STANDARD, job.priority, job.max_attempts, _ms(job.delay_s or 0)),
            *("" if job.deadline_s is None else _ms(job.deadline_s), cost),
            *(self._limits.max_queued, self._limits.max_memory_share),
        )
        match stored:
            case ["conflict"]:
                raise conflict(idempotency_key)
            case ["full", "queue", limit, wait_ms]:
                raise full(self.name, int(limit), _known_s(wait_ms))
            case ["full", "tenant", limit, wait_ms]:
                raise tenant_full(job.tenant, int(limit), _known_s(wait_ms))
            case ["full", "memory", share, _]:
                raise memory_full(float(share))
            case ["late", wait_ms]:
                raise too_late(job, int(wait_ms) / 1000)
        return read_record(new.job_id, _pairs(stored))

    def hold(self, tenant: str, idempotency_key: str, model: str) -> str:
        """Whoever comes first has it."""
        return str(self._run("hold", hold_digest(tenant, idempotency_key), model, _ms(HOLD_S)))

    def claim(self, worker: str, lease_s: float, nonce: str = "") -> Claim | None:
        """Take the first job of the tenant whose turn it is in the first lane that holds work."""
        taken = self._run("claim", worker, nonce or secrets.token_hex(8), _ms(lease_s), self._ttl_ms)
        if taken is None:
            return None
        job_id, payload, attempt, crashes, fence, waited_ms, look = taken
        waited_s = int(waited_ms) / 1000
        return Claim(
            job_id, payload, int(attempt), int(crashes), int(fence), worker, lease_s, waited_s, look_only=bool(look)
        )

    def wait(self, timeout_s: float) -> None:
        """Sleep until a job becomes ready or due; answers after 2.5 s at the latest, a false wake-up."""
        due_ms = self._run("next_due")
        longest_s = min(timeout_s, LONGEST_WAIT_S, due_ms / 1000 if due_ms >= 0 else LONGEST_WAIT_S)
        wake = self._keys.key("wake")
        self._connection.ask(lambda client: client.blpop([wake], timeout=max(SHORTEST_WAIT_S, longest_s)))

    def heartbeat(self, claim: Claim, progress: Progress | None = None) -> Verdict:
        """Extend the lease and store the progress."""
        verdict = self._run("heartbeat", claim.job_id, claim.fence, _ms(claim.lease_s), write_progress(progress))
        return Verdict(verdict)

    def complete(self, claim: Claim, result: dict[str, Any]) -> bool:
        """Accept the result of the attempt that holds the fence."""
        return bool(self._run("complete", claim.job_id, claim.fence, json.dumps(result), self._ttl_ms))

    def fail(self, claim: Claim, code: str, message: str, retryable: bool) -> JobState | None:
        """End the attempt; the retry policy decides here, the script only if the attempt still runs."""
        decision = self._limits.retry.decide(
            claim.attempt - claim.crashes, self._max_attempts(claim.job_id), retryable, self._rng
        )
        delay_ms = _ms(decision.delay_s) if decision.again else ""
        state = self._run("fail", claim.job_id, claim.fence, code, message[:MESSAGE_LIMIT], delay_ms, self._ttl_ms)
        return _state(state)

    def release(self, claim: Claim) -> bool:
        """Give the job back at its old place."""
        return bool(self._run("release", claim.job_id, claim.fence, self._ttl_ms))

    def cancel(self, job_id: str) -> JobState | None:
        """End a waiting job, flag a running one."""
        return _state(self._run("cancel", job_id, self._ttl_ms))

    def expired(self) -> Sequence[Expired]:
        """Running jobs past their lease."""
        return [Expired(job_id, int(fence), int(beats)) for job_id, fence, beats in self._run("expired")]

    def requeue(self, seen: Expired) -> JobState | None:
        """Take the job from a worker that has not moved since `seen`."""
        return _state(
            self._run("requeue", seen.job_id, seen.fence, seen.heartbeats, self._limits.max_crashes, self._ttl_ms)
        )

    def get(self, job_id: str) -> JobRecord | None:
        """The job as it is now."""
        stored = self._run("get", job_id)
        return read_record(job_id, _pairs(stored)) if stored else None

    def list(self, limit: int = 20, after: str | None = None, newest_first: bool = True) -> Sequence[JobRecord]:
        """At most 1,000 jobs; raises UnknownJob if there is no job `after`."""
        page = self._run("list", after or "", min(limit, PAGE_LIMIT), int(newest_first))
        if page is None:
            raise no_such_cursor(after or "")
        return [read_record(job_id, _pairs(stored)) for job_id, stored in page]

    def forget(self, job_id: str) -> bool:
        """Delete the record of an ended job; what it left in the store is the caller's to delete."""
        return bool(self._run("forget", job_id))

    def redrive(self, job_id: str) -> bool:
        """Give a dead job another life."""
        return bool(self._run("redrive", job_id))

    def sign_in(self, card: WorkerCard, ttl_s: float) -> None:
        """Lay down a worker's card."""
        told = (card.gpu, card.state, card.job_id or "", card.publishing or "", card.why[:MESSAGE_LIMIT])
        self._run("sign_in", card.worker, *told, _ms(ttl_s))

    def sign_off(self, worker: str) -> None:
        """Take the card away."""
        self._run("sign_off", worker)

    def workers(self) -> Sequence[WorkerCard]:
        """The cards that are still good."""
        return [_card(worker, _pairs(stored), int(silent)) for worker, stored, silent in self._run("workers")]

    def depth(self) -> QueueDepth:
        """Jobs on the books by state; `submitted` is their sum, counted apart, so that a lost job would show."""
        *counts, submitted, oldest_ms, paused, bygone = self._run("depth", self._ttl_ms)
        by_state = dict(zip(JobState, counts, strict=True))
        return QueueDepth(
            **by_state, submitted=submitted, oldest_queued_age_s=oldest_ms / 1000, paused=paused, bygone=bygone
        )

    def close(self) -> None:
        """Let the connections go; the next call opens them again."""
        self._connection.close()

    @property
    def _ttl_ms(self) -> int:
        return _ms(self._limits.result_ttl_s)

    def _max_attempts(self, job_id: str) -> int:
        """It never changes, so reading it apart from the move is no race; 1 if it cannot be read."""
        stored: Any = self._connection.ask(lambda client: client.hget(self._keys.job(job_id), "max_attempts"))
        return max(1, whole_number(stored))

    def _run(self, script: str, *arguments: str | int | float) -> Any:
        return self._connection.run(load_script(script), self._keys.for_scripts(), *arguments)


def _known_s(milliseconds: str) -> float | None:
    return None if milliseconds == "-1" else int(milliseconds) / 1000


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _state(text: str | None) -> JobState | None:
    return JobState(text) if text else None


def _card(worker: str, stored: dict[str, str], silent_ms: int) -> WorkerCard:
    return WorkerCard(
        worker,
        stored.get("gpu", ""),
        stored.get("state", ""),
        stored.get("job") or None,
        stored.get("publishing") or None,
        stored.get("why", ""),
        whole_number(stored.get("beats")),
        silent_ms / 1000,
    )
