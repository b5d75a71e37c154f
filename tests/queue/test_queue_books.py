"""Listing, counting, forgetting; the same for Redis and the twin."""

from __future__ import annotations

import itertools

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobQueue, QueueDepth
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


def one_job_in_every_state(queue: JobQueue) -> dict[JobState, str]:
    def run() -> tuple[str, object]:
        queue.submit(JOB)
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        return claim.job_id, claim

    ids = {}
    ids[JobState.SUCCEEDED], done = run()
    queue.complete(done, {})
    ids[JobState.DEAD], failed = run()
    queue.fail(failed, "oom", "", retryable=False)
    ids[JobState.RUNNING], _ = run()
    ids[JobState.CANCELLED] = queue.submit(JOB).job_id
    queue.cancel(ids[JobState.CANCELLED])
    ids[JobState.DELAYED] = queue.submit(JOB.model_copy(update={"delay_s": 100})).job_id
    ids[JobState.QUEUED] = queue.submit(JOB).job_id
    return ids


def test_every_job_is_counted_once(stage) -> None:
    queue = stage.open()
    one_job_in_every_state(queue)
    stage.elapse(50)
    depth = queue.depth()
    assert 50 <= depth.oldest_queued_age_s < 60
    assert depth == QueueDepth(1, 1, 1, 1, 1, 1, 6, depth.oldest_queued_age_s)


def test_what_was_made_is_counted_beyond_its_record(stage) -> None:
    queue = stage.open(result_ttl_s=100)
    ids = one_job_in_every_state(queue)
    assert queue.forget(ids[JobState.DEAD])
    assert queue.forget(ids[JobState.CANCELLED])
    assert (queue.depth().succeeded, queue.depth().bygone) == (1, 1)
    stage.elapse(101)
    assert (queue.depth().succeeded, queue.depth().bygone) == (0, 2)


def test_the_longest_wait_is_that_of_a_job_still_waiting(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    stage.elapse(50)
    queue.submit(JOB)
    assert queue.claim("w", LEASE_S) is not None
    assert queue.depth().oldest_queued_age_s < 50


def test_an_empty_queue_counts_nothing(queue: JobQueue) -> None:
    assert queue.depth() == QueueDepth()
    assert queue.list() == []
    assert queue.get("nobody") is None
    assert queue.claim("w", LEASE_S) is None
    assert queue.expired() == []


def test_nothing_waits_in_an_empty_queue_while_the_clock_ticks() -> None:
    ticks = itertools.count(1_000)
    assert MemoryQueue("a", QueueLimits(), clock=lambda: float(next(ticks))).depth() == QueueDepth()


def test_pages_follow_each_other_in_both_directions(queue: JobQueue) -> None:
    ids = [queue.submit(JOB.model_copy(update={"delay_s": number % 2})).job_id for number in range(7)]

    def pages(newest_first: bool) -> list[list[str]]:
        found: list[list[str]] = []
        after = None
        while page := queue.list(limit=3, after=after, newest_first=newest_first):
            found.append([record.job_id for record in page])
            after = page[-1].job_id
        return found

    assert pages(newest_first=False) == [ids[0:3], ids[3:6], ids[6:]]
    newest = ids[::-1]
    assert pages(newest_first=True) == [newest[0:3], newest[3:6], newest[6:]]


def test_a_listing_shows_what_get_shows(queue: JobQueue) -> None:
    ids = one_job_in_every_state(queue)
    listed = {record.job_id: record for record in queue.list()}
    assert listed == {job_id: queue.get(job_id) for job_id in ids.values()}
    assert {record.state for record in listed.values()} == set(JobState)


def test_a_page_may_be_empty_but_not_begin_after_nobody(queue: JobQueue) -> None:
    queue.submit(JOB)
    assert queue.list(limit=0) == []
    with pytest.raises(InvalidInput, match="'nobody'"):
        queue.list(after="nobody")


def test_only_what_has_ended_is_forgotten(queue: JobQueue) -> None:
    ids = one_job_in_every_state(queue)
    forgotten = {state for state, job_id in ids.items() if queue.forget(job_id)}
    assert forgotten == {JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED}
    assert all(queue.get(ids[state]) is None for state in forgotten)
    assert not queue.forget(ids[JobState.DEAD])
    depth = queue.depth()
    assert depth == QueueDepth(1, 1, 1, submitted=3, oldest_queued_age_s=depth.oldest_queued_age_s)


def test_only_the_dead_are_redriven(queue: JobQueue) -> None:
    ids = one_job_in_every_state(queue)
    assert [state for state, job_id in ids.items() if queue.redrive(job_id)] == [JobState.DEAD]
    assert not queue.redrive("nobody")
    order = [claim.job_id for _ in range(2) if (claim := queue.claim("w", LEASE_S))]
    assert order == [ids[JobState.QUEUED], ids[JobState.DEAD]]  # behind those who waited meanwhile
