"""The life of a job between a claim and its end; the same for Redis and the twin."""

from __future__ import annotations

import pytest

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, JobQueue, JobRecord, Progress, Verdict

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


def take(queue: JobQueue, worker: str = "w") -> Claim:
    claim = queue.claim(worker, LEASE_S)
    assert claim is not None
    return claim


def job_of(queue: JobQueue, claim: Claim) -> JobRecord:
    record = queue.get(claim.job_id)
    assert record is not None
    return record


@pytest.fixture
def claim(queue: JobQueue) -> Claim:
    queue.submit(JOB)
    return take(queue)


def reap(queue: JobQueue, stage) -> JobState | None:
    stage.elapse(LEASE_S + 1)
    (seen,) = queue.expired()
    return queue.requeue(seen)


def test_a_claim_says_who_runs_what(queue: JobQueue) -> None:
    record = queue.submit(JOB)
    claim = take(queue, "gpu-1")
    assert claim == Claim(record.job_id, record.payload, 1, 0, claim.fence, "gpu-1", LEASE_S, claim.waited_s)
    running = job_of(queue, claim)
    assert (running.state, running.attempts, running.worker) == (JobState.RUNNING, 1, "gpu-1")
    assert running.claimed_s is not None
    assert queue.claim("w", LEASE_S) is None


def test_a_claim_says_how_long_the_job_was_ready(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    stage.elapse(40)
    first = take(queue)
    assert 40 <= first.waited_s < 50
    stage.elapse(30)
    assert queue.release(first)
    stage.elapse(20)
    assert 20 <= take(queue).waited_s < 30, "not counting the attempt before"


def test_fences_rise_with_every_claim(queue: JobQueue) -> None:
    fences = []
    for _ in range(20):
        queue.submit(JOB)
        fences.append(take(queue).fence)
    claim = take_again_after_release(queue)
    assert fences == sorted(set(fences))
    assert claim.fence > fences[-1]


def take_again_after_release(queue: JobQueue) -> Claim:
    queue.submit(JOB)
    assert queue.release(take(queue))
    return take(queue)


def test_a_heartbeat_extends_the_lease_and_shows_progress(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = take(queue)
    progress = Progress("sample", step=3, steps=50, evaluated=2, skipped=1, eta_s=1.5)
    for _ in range(3):
        stage.elapse(LEASE_S - 10)
        assert queue.expired() == []
        assert queue.heartbeat(claim, progress) is Verdict.MINE
    assert job_of(queue, claim).progress == progress
    assert queue.heartbeat(claim) is Verdict.MINE  # silence keeps the last progress
    assert job_of(queue, claim).progress == progress


def test_an_expired_lease_that_nobody_reaped_revives(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = take(queue)
    stage.elapse(10 * LEASE_S)
    assert len(queue.expired()) == 1
    assert queue.heartbeat(claim) is Verdict.MINE
    assert queue.expired() == []
    assert queue.complete(claim, {})


def test_completing_publishes_the_result_once_and_may_be_repeated(queue: JobQueue, claim: Claim) -> None:
    assert queue.complete(claim, {"files": {"video": "v.mp4"}, "psnr_db": 31.5})
    assert queue.complete(claim, {"files": "another"})
    done = job_of(queue, claim)
    assert (done.state, done.result) == (JobState.SUCCEEDED, {"files": {"video": "v.mp4"}, "psnr_db": 31.5})
    assert done.finished_s is not None
    assert queue.heartbeat(claim) is Verdict.LOST
    assert queue.fail(claim, "oom", "too late", retryable=True) is None
    assert not queue.release(claim)


def test_a_retryable_failure_backs_off_and_comes_back(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    first = take(queue)
    assert queue.fail(first, "oom", "8 GiB missing", retryable=True) is JobState.DELAYED
    delayed = job_of(queue, first)
    assert (delayed.state, delayed.error) == (JobState.DELAYED, {"code": "oom", "message": "8 GiB missing"})
    assert queue.claim("w", LEASE_S) is None
    stage.elapse(6)  # the backoff of this stage is 5 s
    second = take(queue)
    assert (second.job_id, second.attempt, second.crashes) == (first.job_id, 2, 0)
    assert job_of(queue, second).error is None


def test_attempts_run_out(stage) -> None:
    queue = stage.open()
    queue.submit(JOB.model_copy(update={"max_attempts": 2}))
    assert queue.fail(take(queue), "oom", "no", retryable=True) is JobState.DELAYED
    stage.elapse(6)
    last = take(queue)
    assert queue.fail(last, "oom", "no again", retryable=True) is JobState.DEAD
    dead = job_of(queue, last)
    assert dead.error == {"code": "oom", "message": "no again"}
    assert dead.finished_s is not None


def test_crashes_do_not_use_up_attempts(stage) -> None:
    queue = stage.open(max_crashes=3)
    queue.submit(JOB.model_copy(update={"max_attempts": 2}))
    take(queue)
    assert reap(queue, stage) is JobState.QUEUED
    assert queue.fail(take(queue), "oom", "no", retryable=True) is JobState.DELAYED
    stage.elapse(6)
    assert queue.fail(take(queue), "oom", "no", retryable=True) is JobState.DEAD


def test_a_permanent_failure_is_final(queue: JobQueue, claim: Claim) -> None:
    assert queue.fail(claim, "invalid_output", "NaN" + "!" * 10_000, retryable=False) is JobState.DEAD
    error = job_of(queue, claim).error
    assert error is not None
    assert len(error["message"]) == 1_000
    assert queue.fail(claim, "invalid_output", "again", retryable=False) is None


def test_a_released_job_keeps_its_place_and_its_attempt(queue: JobQueue) -> None:
    first = queue.submit(JOB)
    queue.submit(JOB)
    assert queue.release(take(queue))
    assert job_of_id(queue, first.job_id).state is JobState.QUEUED
    again = take(queue)
    assert (again.job_id, again.attempt, again.crashes) == (first.job_id, 1, 0)


def job_of_id(queue: JobQueue, job_id: str) -> JobRecord:
    record = queue.get(job_id)
    assert record is not None
    return record


def test_whoever_lost_the_lease_touches_nothing(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    zombie = take(queue, "zombie")
    assert reap(queue, stage) is JobState.QUEUED

    def refused_everywhere() -> bool:
        return (
            queue.heartbeat(zombie, Progress("sample", step=9)) is Verdict.LOST
            and not queue.complete(zombie, {"by": "zombie"})
            and queue.fail(zombie, "oom", "", retryable=True) is None
            and not queue.release(zombie)
        )

    assert refused_everywhere()  # while it waits
    winner = take(queue, "winner")
    assert winner.fence > zombie.fence
    before = job_of(queue, winner)
    assert refused_everywhere()  # while another runs it
    assert job_of(queue, winner) == before
    assert queue.complete(winner, {"by": "winner"})
    assert refused_everywhere()  # when it is done
    assert job_of(queue, winner).result == {"by": "winner"}


@pytest.mark.parametrize("delay_s", [0, 100])
def test_a_waiting_job_is_cancelled_at_once(queue: JobQueue, delay_s: float) -> None:
    record = queue.submit(JOB.model_copy(update={"delay_s": delay_s}))
    assert queue.cancel(record.job_id) is JobState.CANCELLED
    cancelled = job_of_id(queue, record.job_id)
    assert cancelled.error == {"code": "cancelled", "message": "cancelled on request"}
    assert cancelled.finished_s is not None
    assert queue.claim("w", LEASE_S) is None


def test_a_running_job_hears_of_its_cancellation(queue: JobQueue, claim: Claim) -> None:
    assert queue.cancel(claim.job_id) is JobState.RUNNING
    assert job_of(queue, claim).cancel_requested
    assert queue.heartbeat(claim) is Verdict.CANCEL
    assert queue.fail(claim, "cancelled", "stopped at step 3", retryable=True) is JobState.CANCELLED
    assert job_of(queue, claim).error == {"code": "cancelled", "message": "cancelled on request"}


def test_the_record_tells_when_a_cancellation_was_first_asked_for(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = take(queue)
    assert job_of(queue, claim).cancel_asked_s is None
    queue.cancel(claim.job_id)
    asked_s = job_of(queue, claim).cancel_asked_s
    stage.elapse(2)
    queue.cancel(claim.job_id)
    assert job_of(queue, claim).cancel_asked_s == asked_s
    queue.fail(claim, "cancelled", "", retryable=True)
    ended = job_of(queue, claim)
    assert ended.claimed_s <= ended.cancel_asked_s == asked_s <= ended.finished_s


def test_a_cancelled_job_ends_when_it_is_released(queue: JobQueue, claim: Claim) -> None:
    queue.cancel(claim.job_id)
    assert queue.release(claim)
    assert job_of(queue, claim).state is JobState.CANCELLED


def test_a_video_published_before_the_cancellation_was_seen_stays(queue: JobQueue, claim: Claim) -> None:
    queue.cancel(claim.job_id)
    assert queue.complete(claim, {"files": {}})
    assert queue.cancel(claim.job_id) is JobState.SUCCEEDED
    assert job_of(queue, claim).result == {"files": {}}


def test_cancelling_what_has_ended_answers_its_state(queue: JobQueue, claim: Claim) -> None:
    assert queue.cancel("nobody") is None
    queue.fail(claim, "oom", "", retryable=False)
    assert queue.cancel(claim.job_id) is JobState.DEAD
    other = queue.submit(JOB)
    queue.cancel(other.job_id)
    assert queue.cancel(other.job_id) is JobState.CANCELLED


def test_poison_is_buried_after_two_crashes_and_may_be_dug_out(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    take(queue)
    assert reap(queue, stage) is JobState.QUEUED
    assert take(queue).crashes == 1
    assert reap(queue, stage) is JobState.QUEUED  # for a last look at what they may have published
    assert queue.fail(take(queue), "worker_lost", "nothing", retryable=False) is JobState.DEAD
    (dead,) = queue.list()
    assert dead.error is not None
    assert dead.error["code"] == "worker_lost"
    assert dead.crashes == 2
    assert queue.redrive(dead.job_id)
    again = take(queue)
    assert (again.attempt, again.crashes) == (1, 0)
    assert job_of(queue, again).error is None


def test_a_record_tells_when_it_goes(stage) -> None:
    queue = stage.open(result_ttl_s=100)
    queue.submit(JOB)
    claim = take(queue)
    assert job_of(queue, claim).expires_s is None
    queue.fail(claim, "oom", "no", retryable=False)
    dead = job_of(queue, claim)
    assert dead.finished_s is not None
    assert dead.expires_s == pytest.approx(dead.finished_s + 100)
    queue.redrive(claim.job_id)
    assert job_of(queue, claim).expires_s is None
    stage.elapse(101)
    assert queue.get(claim.job_id)  # it lives again


def test_requeue_wants_the_job_exactly_as_it_was_seen(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = take(queue)
    stage.elapse(LEASE_S + 1)
    (seen,) = queue.expired()
    queue.heartbeat(claim)
    assert queue.requeue(seen) is None  # the lease is good again
    stage.elapse(LEASE_S + 1)
    assert queue.requeue(seen) is None  # expired again, but it has moved since
    assert job_of(queue, claim).state is JobState.RUNNING
    (seen,) = queue.expired()
    assert queue.requeue(seen) is JobState.QUEUED
    assert queue.requeue(seen) is None  # somebody else was faster
    take(queue)
    assert queue.requeue(seen) is None  # and another attempt runs


def test_a_lease_made_good_by_a_clock_that_went_back_is_left_alone(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = take(queue)
    stage.elapse(3600)
    (seen,) = queue.expired()
    stage.elapse(-3600)
    assert queue.requeue(seen) is None
    assert queue.complete(claim, {})
