"""What an operator may order: pause, redrive, purge; events and books. The same for Redis and the twin."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import event_reader, memory_desk, redis_desk
from fastflow_ray.queue.contract import Claim, JobQueue, JobRecord
from fastflow_ray.queue.event import BEGINNING
from fastflow_ray.queue.event_reader import EventReader
from fastflow_ray.queue.keys import QueueKeys

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


@pytest.fixture
def three_events_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that forgets all but so many."""
    monkeypatch.setattr(redis_desk, "KEPT", 3)
    monkeypatch.setattr(memory_desk, "KEPT", 3)


def bury(queue: JobQueue, jobs: int) -> list[str]:
    """That many dead jobs."""
    ids = []
    for _ in range(jobs):
        queue.submit(JOB)
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        assert queue.fail(claim, "oom", "no", retryable=False) is JobState.DEAD
        ids.append(claim.job_id)
    return ids


def test_a_paused_queue_takes_jobs_and_gives_none_out(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    queue.submit(JOB)
    running = queue.claim("w", LEASE_S)
    assert running is not None
    desk.pause("new driver")
    queue.submit(JOB)
    assert queue.claim("w", LEASE_S) is None
    assert queue.depth().paused == "new driver"
    assert queue.complete(running, {})
    desk.resume()
    assert queue.depth().paused is None
    assert queue.claim("w", LEASE_S) is not None


def test_resuming_wakes_who_waits_and_pausing_lets_them_wait(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    desk.pause("new driver")
    queue.submit(JOB)
    assert queue.claim("w", LEASE_S) is None
    with ThreadPoolExecutor(1) as threads:
        woken = threads.submit(queue.wait, 2.0)
        desk.resume()
        woken.result(timeout=10.0)
    assert queue.claim("w", LEASE_S) is not None


def test_a_pause_has_a_reason(stage) -> None:
    with pytest.raises(InvalidInput, match="say in a few words"):
        stage.desk(stage.open()).pause("  ")


def test_all_the_dead_are_redriven_or_purged_however_many(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    ids = bury(queue, 105)
    assert desk.redrive_all() == 105
    assert {claim.job_id for _ in ids if (claim := queue.claim("w", LEASE_S))} == set(ids)
    alive = queue.submit(JOB).job_id
    bury(queue, 1)  # the one that waited longest: `alive`
    assert desk.purge() == 1
    assert queue.get(alive) is None
    assert (desk.redrive_all(), desk.purge(), queue.depth().dead) == (0, 0, 0)
    assert queue.depth().running == 105


def test_behind_many_records_that_are_gone_the_others_are_redriven(redis_stage) -> None:
    queue, desk = (queue := redis_stage.open()), redis_stage.desk(queue)
    *gone, alive = bury(queue, 102)
    redis_stage.client.delete(*(QueueKeys(queue.name).job(job_id) for job_id in gone))
    assert desk.redrive_all() == 1
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    assert claim.job_id == alive


def test_events_tell_every_transition_in_order(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    assert desk.events() == []
    job_id = queue.submit(JOB).job_id
    claim = queue.claim("gpu-1", LEASE_S)
    assert claim is not None
    queue.complete(claim, {})
    events = desk.events()
    assert [(event.job_id, event.state, event.attempt, event.worker) for event in events] == [
        (job_id, JobState.QUEUED, 0, ""),
        (job_id, JobState.RUNNING, 1, "gpu-1"),
        (job_id, JobState.SUCCEEDED, 1, "gpu-1"),
    ]
    assert all(event.at_s > 1_600_000_000 for event in events)
    assert desk.events(limit=2) == events[1:]
    assert desk.events(events[0].event_id) == events[1:]
    assert desk.events(events[0].event_id, limit=1) == events[1:2]
    assert desk.events(events[2].event_id) == []
    assert desk.events("1-1") is None


def test_events_tell_why_a_job_came_back_or_failed(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    job_id = queue.submit(JOB).job_id

    def claimed() -> Claim:
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        return claim

    assert queue.release(claimed())
    assert queue.fail(claimed(), "storage", "no room", retryable=True) is JobState.DELAYED
    stage.elapse(LEASE_S)
    claimed()
    stage.elapse(LEASE_S + 1)
    assert [queue.requeue(seen) for seen in queue.expired()] == [JobState.QUEUED]
    assert queue.fail(claimed(), "oom", "no", retryable=False) is JobState.DEAD
    queue.redrive(job_id)
    queue.cancel(job_id)
    assert [(str(event.state), event.why) for event in desk.events() or [] if event.state is not JobState.RUNNING] == [
        ("queued", ""), ("queued", "released"), ("delayed", "storage"), ("queued", ""), ("queued", "worker_lost"),
        ("dead", "oom"), ("queued", ""), ("cancelled", "cancelled"),
    ]  # fmt: skip


@pytest.mark.usefixtures("three_events_kept")
def test_who_missed_an_event_is_told_why_all_the_same(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    reader = EventReader(queue, desk)
    assert states(reader) == []
    bury(queue, 2)
    assert [(event.state, event.why) for event in reader.read()] == 2 * [(JobState.DEAD, "oom")]


def states(reader: EventReader) -> list[tuple[str, JobState]]:
    return [(event.job_id, event.state) for event in reader.read()]


def test_a_reader_goes_on_where_it_stopped(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    first, second = queue.submit(JOB).job_id, queue.submit(JOB).job_id
    reader = EventReader(queue, desk, history=1)
    assert states(reader) == [(second, JobState.QUEUED)]
    assert states(reader) == []
    queue.cancel(first)
    assert states(reader) == [(first, JobState.CANCELLED)]


def test_a_reader_that_came_before_all_events_is_told_every_one(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    reader = EventReader(queue, desk, history=1)
    assert states(reader) == []
    assert states(reader) == []
    ids = [queue.submit(JOB).job_id for _ in range(3)]
    queue.cancel(ids[0])
    assert states(reader) == [*((job_id, JobState.QUEUED) for job_id in ids), (ids[0], JobState.CANCELLED)]
    assert states(reader) == []


@pytest.mark.usefixtures("three_events_kept")
def test_where_the_first_events_are_forgotten_the_beginning_is_a_lost_place(stage) -> None:
    queue, desk = (queue := stage.open()), stage.desk(queue)
    reader = EventReader(queue, desk)
    assert states(reader) == []
    ids = [queue.submit(JOB).job_id for _ in range(2)]
    assert [event.job_id for event in desk.events(BEGINNING)] == ids
    ids.append(queue.submit(JOB).job_id)
    assert desk.events(BEGINNING) is None
    assert states(reader) == [(job_id, JobState.QUEUED) for job_id in ids], "as the jobs themselves say"


def test_a_reader_gets_over_a_job_that_goes_between_two_pages(stage, monkeypatch) -> None:
    monkeypatch.setattr(event_reader, "PAGE_LIMIT", 2)
    queue, desk = (queue := stage.open()), stage.desk(queue)
    ids = bury(queue, 5)
    reader, pages = EventReader(queue, desk), queue.list

    def forgetful(*how: Any, **more: Any) -> Sequence[JobRecord]:
        page = pages(*how, **more)
        queue.forget(ids[1])  # the last one of the first page
        return page

    monkeypatch.setattr(queue, "list", forgetful)
    monkeypatch.setattr(desk, "events", lambda after, limit: None)  # the stream was deleted
    left = [(job_id, JobState.DEAD) for job_id in ids if job_id != ids[1]]
    assert states(reader) == left


def test_a_reader_that_lost_its_place_tells_what_became_of_the_jobs(redis_stage) -> None:
    queue, desk = (queue := redis_stage.open()), redis_stage.desk(queue)
    ids = [queue.submit(JOB).job_id for _ in range(3)]
    reader = EventReader(queue, desk)
    assert len(states(reader)) == 3
    queue.cancel(ids[1])
    redis_stage.client.delete(QueueKeys(queue.name).key("ev"))
    assert states(reader) == [(ids[1], JobState.CANCELLED)]
    queue.cancel(ids[0])
    assert (ids[0], JobState.CANCELLED) in states(reader)
    assert states(reader) == []


def test_a_reader_forgets_jobs_whose_records_are_gone(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_reader, "KEPT", 4)
    queue, desk = (queue := stage.open()), stage.desk(queue)
    reader = EventReader(queue, desk)
    alive = [queue.submit(JOB.model_copy(update={"delay_s": 1000})).job_id for _ in range(3)]
    for _ in range(10):
        (gone,) = bury(queue, 1)
        assert states(reader)[-1] == (gone, JobState.DEAD)
        assert queue.forget(gone)
    assert set(alive) < reader._known.keys()
    assert len(reader._known) <= 7, "six, twice as many as are there, and the one whose event was just read"
    monkeypatch.setattr(desk, "events", lambda after, limit: None)  # the stream was deleted
    assert states(reader) == []


def test_the_books_balance_through_a_whole_life(stage) -> None:
    queue = stage.open(result_ttl_s=100)
    desk = stage.desk(queue)
    bury(queue, 2)
    stage.elapse(101)
    bury(queue, 3)
    desk.purge()
    queue.submit(JOB.model_copy(update={"delay_s": 1000}))
    queue.submit(JOB)
    assert queue.claim("w", LEASE_S)
    queue.submit(JOB)
    books = desk.books()
    assert list(books.complaints()) == []
    assert (books.submitted, books.expired, books.forgotten, books.struck, books.on_the_books) == (8, 2, 3, 0, 3)


DAMAGES = {
    "are accounted for": lambda client, key: client.hincrby(key("stat"), "submitted", 1),
    "is listed": lambda client, key: client.zpopmin(key("index")),
    "stand in a lane": lambda client, key: client.delete(key("r:standard:default")),
    "job waits, the tenants' counts": lambda client, key: client.hset(key("waiting"), "default", 7),
    "job runs, the tenants' counts": lambda client, key: client.delete(key("working")),
}


@pytest.mark.parametrize("complaint", DAMAGES)
def test_the_books_show_what_was_lost_by_hand(redis_stage, complaint: str) -> None:
    queue, desk = (queue := redis_stage.open()), redis_stage.desk(queue)
    queue.submit(JOB)
    queue.submit(JOB)
    assert queue.claim("w", LEASE_S)
    DAMAGES[complaint](redis_stage.client, QueueKeys(queue.name).key)
    assert any(complaint in sentence for sentence in desk.books().complaints())


def test_a_record_deleted_by_hand_is_counted_apart(redis_stage) -> None:
    queue, desk = (queue := redis_stage.open()), redis_stage.desk(queue)
    lost = queue.submit(JOB, "key").job_id
    redis_stage.client.delete(QueueKeys(queue.name).job(lost))
    assert queue.submit(JOB, "key").job_id == lost
    books = desk.books()
    assert list(books.complaints()) == []
    assert (books.submitted, books.struck, books.queued) == (2, 1, 1)
