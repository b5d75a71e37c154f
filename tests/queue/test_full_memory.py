"""A server whose memory is full takes no new jobs, and loses none of those it has: they end as ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from leaks import ClosedAfter
from queue_stages import RedisStage
from waiting import wait_for

from fastflow_ray.errors import QueueFull, QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Claim, JobQueue, Verdict
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.opening import open_desk
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.worker_card import WorkerCard

JOB = VideoJob(prompt="a small red circle", seed=7)
LONG = VideoJob(prompt="a film " * 280, seed=7)
LEASE_S = 60.0
MIB = 2**20


@pytest.fixture
def client(own_server: EmbeddedValkey) -> Iterator[Any]:
    """What an administrator asks the server."""
    with redis.Redis.from_url(own_server.url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def queue(own_server: EmbeddedValkey, closed_after: ClosedAfter) -> JobQueue:
    return closed_after(open_queue(own_server.url, "shapes"))


def take(queue: JobQueue) -> Claim:
    claim = queue.claim("w", LEASE_S)
    assert claim
    return claim


def leave_free(client: Any, bytes_free: int) -> int:
    """Give the server so much memory more than it uses; how much that is in all."""
    limit = int(client.info("memory")["used_memory"]) + bytes_free
    client.config_set("maxmemory", limit)
    return limit


def fill(client: Any) -> None:
    """Leave nothing for any script: the server uses more than it may."""
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("filler", "")


def end_jobs_until_refused(queue: JobQueue) -> QueueFull:
    """Submit and complete one job after the other; none of them waits."""
    while True:
        try:
            queue.submit(LONG)
        except QueueFull as refused:
            return refused
        assert queue.complete(take(queue), {"videos": 1})


def test_ended_jobs_fill_the_memory_until_new_ones_are_refused_and_those_there_are_end(
    queue: JobQueue, own_server: EmbeddedValkey, client: Any, closed_after: ClosedAfter
) -> None:
    known = queue.submit(JOB, "key").job_id
    running = take(queue)
    limit = leave_free(client, 2 * MIB)
    refused = end_jobs_until_refused(queue)
    assert "Redis has more than 90% of its maxmemory in use" in str(refused)
    assert "forget ended jobs, or raise its maxmemory" in str(refused)
    assert refused.retry_after_s == 60
    assert 0.85 * limit < int(client.info("memory")["used_memory"]) < 0.95 * limit
    assert queue.submit(JOB, "key").job_id == known  # it is there already
    fill(client)
    assert queue.heartbeat(running) is Verdict.MINE
    assert queue.complete(running, {"videos": 1})
    for record in queue.list(1000):
        assert record.state is JobState.SUCCEEDED
        queue.forget(record.job_id)
    client.config_set("maxmemory", limit)
    assert queue.submit(JOB).state is JobState.QUEUED
    assert list(closed_after(open_desk(own_server.url, "shapes")).books().complaints()) == []


def test_on_a_full_server_jobs_go_every_way_but_in(
    own_server: EmbeddedValkey, client: Any, closed_after: ClosedAfter
) -> None:
    stage = closed_after(RedisStage(own_server.url))
    queue = stage.open()
    desk = stage.desk(queue)
    late = queue.submit(JOB.model_copy(update={"deadline_s": 1.0}))
    for _ in range(6):
        queue.submit(JOB)
    stage.elapse(2.0)
    fill(client)
    assert queue.depth().dead == 1  # the late one; nobody had to claim for it to end
    queue.sign_in(WorkerCard("w", "gpu"), ttl_s=60)
    assert queue.complete(take(queue), {})
    assert queue.fail(take(queue), "oom", "no", retryable=False) is JobState.DEAD
    assert queue.fail(take(queue), "storage", "no", retryable=True) is JobState.DELAYED
    assert queue.release(take(queue))
    given_back = queue.claim("w", 0.001, "nonce")
    assert given_back
    assert queue.claim("w", 0.001, "nonce") == given_back
    (seen,) = wait_for(queue.expired)
    assert queue.requeue(seen) is JobState.QUEUED
    assert queue.cancel(given_back.job_id) is JobState.CANCELLED
    running = take(queue)
    assert queue.cancel(running.job_id) is JobState.RUNNING
    assert queue.heartbeat(running) is Verdict.CANCEL
    assert queue.release(running)
    assert state_of(queue, running.job_id) is JobState.CANCELLED
    desk.pause("the server is full")
    assert queue.claim("w", LEASE_S) is None
    desk.resume()
    desk.set_share("ann", Share(weight=2.0))
    assert queue.redrive(late.job_id)
    assert queue.forget(given_back.job_id)
    assert desk.purge() == 1
    queue.sign_off("w")
    with pytest.raises(QueueFull):
        queue.submit(JOB)
    assert list(desk.books().complaints()) == []


def test_on_a_full_server_a_claim_ends_what_is_late_and_a_lost_job_is_looked_for(
    own_server: EmbeddedValkey, client: Any, closed_after: ClosedAfter
) -> None:
    stage = closed_after(RedisStage(own_server.url))
    queue = stage.open()
    late = queue.submit(JOB.model_copy(update={"deadline_s": 1.0})).job_id
    stage.elapse(2.0)
    queue.submit(JOB)
    fill(client)
    doomed = queue.claim("w", 0.001)
    assert doomed
    assert state_of(queue, late) is JobState.DEAD
    queue.cancel(doomed.job_id)
    (seen,) = wait_for(queue.expired)
    assert queue.requeue(seen) is JobState.QUEUED
    assert queue.release(take(queue))
    look = take(queue)
    assert look.look_only
    assert queue.fail(look, "worker_lost", "nothing is there", retryable=False) is JobState.CANCELLED
    assert stage.desk(queue).redrive_all() == 1
    client.delete(QueueKeys(queue.name).job(late))
    assert [record.job_id for record in queue.list()] == [look.job_id]
    assert list(stage.desk(queue).books().complaints()) == []


def state_of(queue: JobQueue, job_id: str) -> JobState:
    record = queue.get(job_id)
    assert record
    return record.state


def test_a_server_that_may_not_be_asked_refuses_by_itself(
    own_server: EmbeddedValkey, client: Any, closed_after: ClosedAfter
) -> None:
    client.acl_setuser(
        "fleet", enabled=True, passwords=["+s3cret"], keys=["ff:*"], commands=["+@all", "-@admin", "-@dangerous"]
    )
    queue = closed_after(open_queue(f"redis://fleet:s3cret@127.0.0.1:{own_server.port}/0", "shapes"))
    queue.submit(JOB)
    claim = take(queue)
    client.config_set("maxmemory", 1)
    with pytest.raises(QueueUnavailable, match="out of memory"):
        queue.submit(JOB)
    assert queue.complete(claim, {})
