"""A job whose workers died does not end unseen, for one may have published; the same for Redis and the twin."""

from __future__ import annotations

import pytest

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, JobQueue, JobRecord
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.script import load_script
from fastflow_ray.queue.share import Share

JOB = VideoJob(prompt="a small red circle", seed=7, max_attempts=2)
LEASE_S = 60.0
POISON = "2 workers died on this job; look at their logs, then submit it again"
WORDS = {
    "worker_lost": (JobState.DEAD, POISON),
    "cancelled": (JobState.CANCELLED, "cancelled on request"),
    "deadline": (JobState.DEAD, "not begun within 100 s; allow more, or ask when less is waiting"),
}


def take(queue: JobQueue) -> Claim:
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    return claim


def crash(queue: JobQueue, stage) -> JobState | None:
    stage.elapse(LEASE_S + 1)
    (seen,) = queue.expired()
    return queue.requeue(seen)


def only(queue: JobQueue) -> JobRecord:
    (record,) = queue.list()
    return record


def about_to_end(stage, code: str) -> JobQueue:
    """One job that would have ended so: poison, cancelled, or late."""
    queue = stage.open(max_crashes=2)
    queue.submit(JOB.model_copy(update={"deadline_s": 100.0} if code == "deadline" else {}))
    claim = take(queue)
    if code == "cancelled":
        queue.cancel(claim.job_id)
    assert crash(queue, stage) is JobState.QUEUED
    if code == "worker_lost":
        assert not take(queue).look_only
        assert crash(queue, stage) is JobState.QUEUED
    if code == "deadline":
        stage.elapse(100)
        assert queue.depth().queued == 1
    return queue


@pytest.mark.parametrize("code", WORDS)
def test_what_a_dead_worker_had_published_is_found(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    look = take(queue)
    assert look.look_only
    assert queue.complete(look, {"files": {}})
    assert (only(queue).state, only(queue).result, only(queue).error) == (JobState.SUCCEEDED, {"files": {}}, None)


@pytest.mark.parametrize("code", WORDS)
def test_where_nothing_was_published_the_job_ends_as_it_would_have(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    state, message = WORDS[code]
    assert queue.fail(take(queue), "worker_lost", "nothing is there", retryable=False) is state
    assert (only(queue).state, only(queue).error) == (state, {"code": code, "message": message})
    assert queue.claim("w", LEASE_S) is None


@pytest.mark.parametrize("code", ["cancelled", "deadline"])
def test_a_worker_that_dies_while_it_looks_is_the_last(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    assert take(queue).look_only
    assert crash(queue, stage) is WORDS[code][0]
    error = only(queue).error
    assert error
    assert error["code"] == code


def test_poison_that_kills_even_who_looks_is_buried(stage) -> None:
    queue = about_to_end(stage, "worker_lost")
    assert take(queue).look_only
    assert crash(queue, stage) is JobState.DEAD
    assert only(queue).crashes == 3
    assert only(queue).error == {"code": "worker_lost", "message": POISON.replace("2", "3")}


def test_poison_that_killed_but_one_says_so(stage) -> None:
    queue = stage.open(max_crashes=1)
    queue.submit(JOB)
    take(queue)
    assert crash(queue, stage) is JobState.QUEUED
    assert queue.fail(take(queue), "worker_lost", "nothing is there", retryable=False) is JobState.DEAD
    message = "1 worker died on this job; look at its logs, then submit it again"
    assert only(queue).error == {"code": "worker_lost", "message": message}


@pytest.mark.parametrize("code", WORDS)
def test_a_store_that_is_away_is_asked_again(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    assert queue.fail(take(queue), "storage", "the bucket is gone", retryable=True) is JobState.DELAYED
    stage.elapse(6)
    look = take(queue)
    assert look.look_only
    assert queue.fail(look, "storage", "still gone", retryable=True) is WORDS[code][0]
    error = only(queue).error
    assert error
    assert error["code"] == code


@pytest.mark.parametrize("code", WORDS)
def test_a_look_that_is_given_back_is_still_a_look(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    assert queue.release(take(queue))
    assert take(queue).look_only


def test_poison_cancelled_while_it_is_looked_for_ends_as_cancelled(stage) -> None:
    queue = about_to_end(stage, "worker_lost")
    look = take(queue)
    queue.cancel(look.job_id)
    assert queue.fail(look, "worker_lost", "", retryable=False) is JobState.CANCELLED
    assert only(queue).error == {"code": "cancelled", "message": "cancelled on request"}


def test_who_cancels_a_waiting_job_has_the_last_word(stage) -> None:
    queue = about_to_end(stage, "worker_lost")
    assert queue.cancel(only(queue).job_id) is JobState.CANCELLED


def test_a_late_job_that_backs_off_is_looked_for_at_its_deadline(stage) -> None:
    queue = stage.open()
    queue.submit(JOB.model_copy(update={"deadline_s": 75.0}))
    take(queue)
    assert crash(queue, stage) is JobState.QUEUED
    assert queue.fail(take(queue), "oom", "", retryable=True) is JobState.DELAYED
    stage.elapse(20)
    assert queue.depth().queued == 1
    assert take(queue).look_only


def test_a_job_dug_out_is_made_again(stage) -> None:
    queue = about_to_end(stage, "worker_lost")
    queue.fail(take(queue), "worker_lost", "", retryable=False)
    assert queue.redrive(only(queue).job_id)
    assert not take(queue).look_only


@pytest.mark.parametrize("code", WORDS)
def test_a_paused_queue_has_its_lost_jobs_looked_for(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    stage.desk(queue).pause("a new driver")
    queue.submit(JOB)
    look = take(queue)
    assert look.look_only
    assert queue.claim("w", LEASE_S) is None
    assert queue.release(look)
    assert take(queue).job_id == look.job_id


@pytest.mark.parametrize("code", WORDS)
def test_a_tenant_at_its_cap_has_its_lost_jobs_looked_for(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    stage.desk(queue).set_share("default", Share(max_running=0))
    queue.submit(JOB)
    assert take(queue).look_only
    assert queue.claim("w", LEASE_S) is None


@pytest.mark.parametrize("code", WORDS)
def test_a_look_comes_before_every_lane_and_priority(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    queue.submit(JOB.model_copy(update={"lane": Lane.INTERACTIVE, "tenant": "anna", "priority": 255}))
    assert take(queue).look_only
    assert not take(queue).look_only


@pytest.mark.parametrize("given_back", [False, True])
def test_a_tenant_pays_for_attempts_and_not_for_looks(stage, given_back: bool) -> None:
    """It has had one turn and the other two, so it has the next two: one to catch up, and one as the first by name."""
    queue = stage.open(max_crashes=1)
    queue.submit(JOB)
    take(queue)
    others = JOB.model_copy(update={"tenant": "other"})
    for _ in range(2):
        queue.submit(others)
        assert queue.claim("w", 10 * LEASE_S)
    assert crash(queue, stage) is JobState.QUEUED
    for job in [JOB, others] * 2:
        queue.submit(job)
    look = take(queue)
    assert look.look_only
    if given_back:
        assert queue.release(look)
        assert take(queue).job_id == look.job_id
    assert [tenant_of(queue, take(queue)) for _ in range(4)] == ["default", "default", "other", "other"]


def tenant_of(queue: JobQueue, claim: Claim) -> str:
    record = queue.get(claim.job_id)
    assert record
    return record.tenant


def test_what_has_waited_longest_is_looked_for_first(stage) -> None:
    queue = stage.open(max_crashes=1)
    claims = []
    for _ in range(3):
        queue.submit(JOB)
        claims.append(take(queue))
    stage.elapse(LEASE_S + 1)
    for seen in sorted(queue.expired(), key=lambda seen: -seen.fence):
        queue.requeue(seen)
        stage.elapse(1)
    assert [take(queue).job_id for _ in claims] == [claim.job_id for claim in reversed(claims)]


@pytest.mark.parametrize("code", WORDS)
def test_a_waiting_look_counts_as_queued_and_may_be_cancelled(stage, code: str) -> None:
    queue = about_to_end(stage, code)
    desk = stage.desk(queue)
    assert (queue.depth().queued, desk.books().ready, list(desk.books().complaints())) == (1, 1, [])
    assert queue.cancel(only(queue).job_id) is JobState.CANCELLED
    assert (queue.depth().queued, desk.books().ready, list(desk.books().complaints())) == (0, 0, [])
    assert queue.claim("w", LEASE_S) is None


def test_nobody_who_waits_at_a_paused_queue_sleeps_over_a_look(redis_stage) -> None:
    queue = about_to_end(redis_stage, "worker_lost")
    redis_stage.desk(queue).pause("a new driver")
    next_due, keys = load_script("next_due"), QueueKeys(queue.name).for_scripts()
    assert redis_stage.connection.run(next_due, keys) == 0
    take(queue)
    assert redis_stage.connection.run(next_due, keys) == -1
