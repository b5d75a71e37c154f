"""Jobs that are of no use later, and what a queue foretells of its wait; the same for Redis and the twin."""

from __future__ import annotations

import pytest

from fastflow_ray.errors import DeadlineTooTight, InvalidInput, QueueFull
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.share import Share

JOB = VideoJob(prompt="a small red circle", seed=7)
HURRIED = JOB.model_copy(update={"deadline_s": 100.0})
LEASE_S = 600.0


def take(queue: JobQueue) -> Claim:
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    return claim


def teach(stage, queue: JobQueue, attempt_s: float = 60.0) -> None:
    """One attempt of that length, and another that runs."""
    queue.submit(JOB)
    queue.submit(JOB)
    claim = take(queue)
    stage.elapse(attempt_s)
    assert queue.complete(claim, {})
    take(queue)


def assert_too_late(queue: JobQueue, job_id: str) -> None:
    record = queue.get(job_id)
    assert record is not None
    assert record.state is JobState.DEAD
    assert record.error is not None
    assert record.error["code"] == "deadline"
    assert "not begun within 100 s" in record.error["message"]


@pytest.mark.parametrize("look", ["claim", "depth"])
def test_an_expired_job_never_takes_a_gpu(stage, look: str) -> None:
    queue = stage.open()
    expired = queue.submit(HURRIED).job_id
    patient = queue.submit(JOB).job_id
    stage.elapse(101)
    if look == "depth":
        assert queue.depth().dead == 1
    assert take(queue).job_id == patient
    assert queue.claim("w", LEASE_S) is None
    assert_too_late(queue, expired)
    assert queue.depth().oldest_queued_age_s == 0


def test_more_expired_jobs_than_one_call_may_handle(stage) -> None:
    queue = stage.open()
    ids = [queue.submit(HURRIED).job_id for _ in range(105)]
    stage.elapse(101)
    assert queue.claim("w", LEASE_S) is None
    assert_too_late(queue, ids[-1])
    assert queue.depth().dead == 105


def test_a_job_begun_in_time_is_finished(stage) -> None:
    queue = stage.open()
    queue.submit(HURRIED)
    stage.elapse(90)
    claim = take(queue)
    stage.elapse(90)
    assert queue.claim("w", LEASE_S) is None
    assert queue.complete(claim, {})


def test_an_attempt_that_could_not_be_repeated_in_time_fails_for_its_own_reason(stage) -> None:
    queue = stage.open()
    queue.submit(HURRIED)
    stage.elapse(97)
    claim = take(queue)
    assert queue.fail(claim, "oom", "no", retryable=True) is JobState.DEAD  # the backoff of this stage is 5 s
    record = queue.get(claim.job_id)
    assert record is not None
    assert record.error == {"code": "oom", "message": "no"}


def test_a_delayed_job_expires_too_and_redriven_has_its_time_anew(stage) -> None:
    queue = stage.open()
    job_id = queue.submit(HURRIED.model_copy(update={"delay_s": 50.0})).job_id
    stage.elapse(101)
    assert queue.claim("w", LEASE_S) is None
    assert_too_late(queue, job_id)
    assert queue.redrive(job_id)
    stage.elapse(90)
    assert take(queue).job_id == job_id


def test_a_deadline_without_a_record_is_struck_off(redis_stage) -> None:
    queue = redis_stage.open()
    lost = QueueKeys(queue.name).job(queue.submit(HURRIED).job_id)
    redis_stage.client.delete(lost)
    redis_stage.client.set(lost, "a string")
    redis_stage.elapse(101)
    assert queue.claim("w", LEASE_S) is None
    assert queue.depth().submitted == 0


@pytest.mark.parametrize("fields", [{"deadline_s": 0.5}, {"deadline_s": 30, "delay_s": 30}, {"deadline_s": 1e9}])
def test_a_deadline_that_cannot_be_kept_is_a_mistake(fields: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="deadline_s"):
        parse_job({"prompt": "x", **fields})


def test_what_would_wait_too_long_is_refused(stage) -> None:
    queue = stage.open()
    teach(stage, queue)
    queue.submit(JOB)
    assert queue.submit(HURRIED).state is JobState.QUEUED  # one of 60 s is ahead
    with pytest.raises(DeadlineTooTight, match=r"would wait about 1\d\d s, and its deadline is 100 s") as refused:
        queue.submit(HURRIED)
    assert 10 < refused.value.retry_after_s < 40
    assert queue.submit(JOB).state is JobState.QUEUED
    take(queue)  # a second worker: half the wait
    assert queue.submit(HURRIED).state is JobState.QUEUED


def test_where_nothing_is_known_nothing_is_refused(stage) -> None:
    queue = stage.open()
    for _ in range(50):
        queue.submit(HURRIED)
    take(queue)
    assert queue.submit(HURRIED).state is JobState.QUEUED


def test_what_waits_behind_is_not_waited_for(stage) -> None:
    """Neither a later lane nor a greedy tenant's jobs are ahead of a job, beyond the shares of the others."""
    queue = stage.open()
    teach(stage, queue)
    for _ in range(20):
        queue.submit(JOB.model_copy(update={"tenant": "greedy"}))
        queue.submit(JOB.model_copy(update={"lane": Lane.BATCH}))
    hurried = HURRIED.model_copy(update={"tenant": "modest"})
    assert queue.submit(hurried).state is JobState.QUEUED
    with pytest.raises(DeadlineTooTight):
        queue.submit(hurried)
    assert queue.submit(hurried.model_copy(update={"lane": Lane.INTERACTIVE})).state is JobState.QUEUED
    with pytest.raises(DeadlineTooTight):
        queue.submit(HURRIED.model_copy(update={"tenant": "greedy"}))


def test_jobs_that_may_not_begin_are_not_waited_for(stage) -> None:
    queue = stage.open()
    teach(stage, queue)
    stage.desk(queue).set_share("held", Share(max_running=0))
    for _ in range(5):
        queue.submit(JOB.model_copy(update={"tenant": "held", "lane": Lane.INTERACTIVE}))
        queue.submit(JOB.model_copy(update={"tenant": "held"}))
    queue.submit(JOB)
    assert queue.submit(HURRIED).state is JobState.QUEUED  # one of 60 s is ahead
    with pytest.raises(DeadlineTooTight):
        queue.submit(HURRIED)


@pytest.mark.parametrize("whose", ["queue", "tenant"])
def test_a_full_queue_says_when_to_come_again(stage, whose: str) -> None:
    queue = stage.open(max_queued=5 if whose == "queue" else 100)
    if whose == "tenant":
        stage.desk(queue).set_share("default", Share(max_queued=5))
    teach(stage, queue)
    for _ in range(5):
        queue.submit(JOB)
    with pytest.raises(QueueFull, match=r"try again in 3\d s") as refused:
        queue.submit(JOB)
    assert 29 < refused.value.retry_after_s < 36  # a tenth of five times 60 s


def test_a_full_queue_that_knows_nothing_says_five_seconds(stage) -> None:
    queue = stage.open(max_queued=1)
    queue.submit(JOB)
    with pytest.raises(QueueFull) as refused:
        queue.submit(JOB)
    assert refused.value.retry_after_s == 5.0
