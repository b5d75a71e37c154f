"""Who serves a queue, and what a job tells of a worker that fell silent; the same for Redis and the twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.limits import MESSAGE_LIMIT
from fastflow_ray.queue.worker_card import RESTING, Service, WorkerCard

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


def test_a_card_follows_its_worker_through_a_job(queue: JobQueue) -> None:
    queue.sign_in(WorkerCard("w-1", "NVIDIA H100", "loading"), ttl_s=900)
    queue.sign_in(WorkerCard("w-0", "cpu", "loading"), ttl_s=900)
    assert queue.workers() == [WorkerCard("w-0", "cpu", "loading"), WorkerCard("w-1", "NVIDIA H100", "loading")]
    assert queue.claim("w-1", LEASE_S) is None
    job_id = queue.submit(JOB).job_id
    claim = queue.claim("w-0", LEASE_S)
    assert claim is not None
    queue.sign_in(WorkerCard("w-0", "cpu", "busy", job_id), ttl_s=LEASE_S)
    queue.heartbeat(claim)
    queue.heartbeat(claim)
    assert queue.workers() == [
        WorkerCard("w-0", "cpu", "busy", job_id, beats=2), WorkerCard("w-1", "NVIDIA H100", "loading")
    ]  # fmt: skip
    queue.complete(claim, {})
    queue.sign_in(WorkerCard("w-0", "cpu", "idle"), ttl_s=LEASE_S)
    queue.sign_off("w-1")
    assert queue.workers() == [WorkerCard("w-0", "cpu", "idle", beats=2)]


def test_a_card_tells_what_is_made_and_what_is_published(queue: JobQueue) -> None:
    card = WorkerCard("w", "cpu", "busy", job_id="job-2", publishing="job-1")
    queue.sign_in(card, ttl_s=LEASE_S)
    assert queue.claim("w", LEASE_S) is None
    assert queue.workers() == [card], "to be heard of changes nothing on it"


def test_a_worker_that_is_not_heard_of_for_a_lease_is_gone(stage) -> None:
    queue = stage.open()
    queue.sign_in(WorkerCard("w"), ttl_s=100)
    queue.claim("w", LEASE_S)
    stage.elapse(LEASE_S - 10)
    (card,) = queue.workers()
    assert LEASE_S - 10 <= card.silent_s < LEASE_S
    stage.elapse(20)
    assert queue.workers() == []


def test_a_beat_keeps_the_card_for_a_lease_more(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    stage.elapse(LEASE_S - 20)
    queue.heartbeat(claim)
    stage.elapse(LEASE_S - 20)
    assert [card.worker for card in queue.workers()] == ["w"]


def test_a_lost_card_comes_back_with_the_next_sign_of_life(queue: JobQueue) -> None:
    queue.claim("w", LEASE_S)
    assert queue.workers() == [WorkerCard("w")]


def test_the_beat_of_a_lost_attempt_is_no_sign_of_life(stage) -> None:
    queue = stage.open()
    queue.submit(JOB)
    claim = queue.claim("zombie", LEASE_S)
    assert claim is not None
    queue.release(claim)
    stage.elapse(LEASE_S + 1)
    queue.heartbeat(claim)
    assert queue.workers() == []


def test_a_running_job_tells_how_long_its_worker_is_silent(stage) -> None:
    queue = stage.open()
    job_id = queue.submit(JOB).job_id
    waiting = queue.get(job_id)
    assert waiting is not None
    assert (waiting.silent_s, waiting.lease_left_s) == (None, None)
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    stage.elapse(40)
    for record in (queue.get(job_id), queue.list()[0]):
        assert record is not None
        assert record.silent_s == pytest.approx(40, abs=5)
        assert record.lease_left_s == pytest.approx(20, abs=5)
    queue.heartbeat(claim)
    record = queue.get(job_id)
    assert record is not None
    assert record.silent_s == pytest.approx(0, abs=5)
    assert record.lease_left_s == pytest.approx(LEASE_S, abs=5)
    stage.elapse(LEASE_S + 20)
    record = queue.get(job_id)
    assert record is not None
    assert (record.silent_s, record.lease_left_s) == (pytest.approx(LEASE_S + 20, abs=5), pytest.approx(-20, abs=5))


@pytest.mark.parametrize("worker", ["a}:{b", "a:b\n", "w" * 300, "é"])
def test_a_worker_may_have_any_name(queue: JobQueue, worker: str) -> None:
    queue.sign_in(WorkerCard(worker, "gpu"), ttl_s=LEASE_S)
    assert queue.workers() == [WorkerCard(worker, "gpu")]
    queue.sign_off(worker)
    assert queue.workers() == []


def test_what_stands_between_a_job_and_a_worker() -> None:
    assert Service("shapes", [WorkerCard("w")]).obstacle() is None
    assert Service("shapes", []).obstacle() == "no worker serves shapes now; its jobs wait until one comes"
    paused = Service("shapes", [WorkerCard("w")], "new driver")
    assert paused.obstacle() == "the queue of shapes is paused: new driver"


def test_a_model_that_all_its_workers_rest_says_why() -> None:
    resting, able = WorkerCard("w-0", state=RESTING, why="no weights; fetch them"), WorkerCard("w-1", state="busy")
    assert Service("shapes", [resting, able]).obstacle() is None
    said = Service("shapes", [resting, replace(resting, worker="w-1")]).obstacle()
    assert said == "all workers of shapes rest now; its jobs wait until one goes on: no weights; fetch them"


def test_a_card_keeps_why_its_worker_rests(queue: JobQueue) -> None:
    queue.sign_in(WorkerCard("w", "cpu", RESTING, why="x" * 2000), ttl_s=LEASE_S)
    assert queue.workers() == [WorkerCard("w", "cpu", RESTING, why="x" * MESSAGE_LIMIT)]
