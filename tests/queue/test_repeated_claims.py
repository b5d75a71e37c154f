"""A claim whose answer got lost is repeated, and the job it took is no other's; the same for Redis and the twin."""

from __future__ import annotations

import pytest

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, JobQueue, Verdict

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


@pytest.fixture
def busy(stage) -> JobQueue:
    """A queue with three jobs."""
    queue = stage.open()
    for _ in range(3):
        queue.submit(JOB)
    return queue


def take(queue: JobQueue, nonce: str, worker: str = "w") -> Claim:
    claim = queue.claim(worker, LEASE_S, nonce)
    assert claim is not None
    return claim


def test_the_same_claim_gets_the_same_lease(busy: JobQueue) -> None:
    first = take(busy, "n1")
    assert take(busy, "n1") == first
    assert (busy.depth().running, busy.depth().queued) == (1, 2)
    record = busy.get(first.job_id)
    assert record
    assert (record.attempts, record.crashes) == (1, 0)
    assert busy.complete(first, {})


def test_another_claim_and_another_workers_get_other_jobs(busy: JobQueue) -> None:
    claims = [take(busy, "n1"), take(busy, "n2"), take(busy, "n1", "another")]
    assert len({claim.job_id for claim in claims}) == 3


def test_claims_without_a_nonce_are_all_different(busy: JobQueue) -> None:
    assert len({take(busy, "").job_id for _ in range(3)}) == 3


def test_a_repeated_claim_is_a_sign_of_life(stage, busy: JobQueue) -> None:
    take(busy, "n1")
    stage.elapse(LEASE_S + 1)
    (seen,) = busy.expired()
    again = take(busy, "n1")
    assert busy.expired() == []
    stage.elapse(LEASE_S + 1)
    assert busy.requeue(seen) is None, "it has moved since it was seen"
    assert busy.heartbeat(again) is Verdict.MINE


def test_a_claim_repeated_though_nobody_may_claim_now_still_gets_its_job(stage, busy: JobQueue) -> None:
    first = take(busy, "n1")
    stage.desk(busy).pause("a new driver")
    assert take(busy, "n1") == first
    assert busy.claim("w", LEASE_S, "n2") is None


def test_a_claim_repeated_after_an_outage_longer_than_the_lease_gets_its_job(stage, busy: JobQueue) -> None:
    """The worker's card is gone by then; the reaper has not been."""
    first = take(busy, "n1")
    stage.elapse(10 * LEASE_S)
    assert take(busy, "n1") == first


def reaped(stage, busy: JobQueue) -> None:
    stage.elapse(LEASE_S + 1)
    assert [busy.requeue(seen) for seen in busy.expired()] == [JobState.QUEUED]


def test_a_claim_repeated_after_the_lease_was_reaped_is_a_new_one(stage, busy: JobQueue) -> None:
    first = take(busy, "n1")
    reaped(stage, busy)
    again = take(busy, "n1")
    assert (again.job_id, again.attempt, again.crashes) == (first.job_id, 2, 1)
    assert again.fence > first.fence
    assert take(busy, "n1") == again


def test_a_job_that_another_has_by_now_is_not_given_back(stage, busy: JobQueue) -> None:
    first = take(busy, "n1")
    reaped(stage, busy)
    successor = take(busy, "n1", "successor")
    assert successor.job_id == first.job_id
    assert take(busy, "n1").job_id != first.job_id
    assert busy.heartbeat(successor) is Verdict.MINE


@pytest.mark.parametrize("end", ["complete", "fail", "release"])
def test_what_has_ended_is_not_given_again(busy: JobQueue, end: str) -> None:
    first = take(busy, "n1")
    moves = {
        "complete": lambda: busy.complete(first, {}),
        "fail": lambda: busy.fail(first, "oom", "", retryable=False),
        "release": lambda: busy.release(first),
    }
    assert moves[end]()
    again = take(busy, "n1")
    assert again.fence > first.fence
    assert (again.job_id == first.job_id) == (end == "release")
