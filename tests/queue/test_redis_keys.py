"""Every key is listed in keys.py and ends as it says there; `assert_keys_as_listed` also ends each test on Redis."""

from __future__ import annotations

import pytest
from queue_stages import RedisStage, assert_keys_as_listed
from waiting import wait_for

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.keys import PREFIXES, SHARED_KEYS, QueueKeys
from fastflow_ray.queue.share import Share

LEASE_S = 60.0


def use(stage: RedisStage) -> JobQueue:
    """A queue with something under every key."""
    queue = stage.open(result_ttl_s=100)
    stage.desk(queue).set_share("capped", Share(max_running=1))
    for number in range(12):
        tenant = "capped" if number % 2 else "free"
        job = VideoJob(prompt="x", seed=number, tenant=tenant, lane=list(Lane)[number % 3])
        queue.submit(job.model_copy(update={"deadline_s": 1000.0} if number > 6 else {}))
    first, second, third, _ = (queue.claim(f"w-{number}", LEASE_S) for number in range(4))
    assert first
    assert second
    assert third
    queue.complete(first, {})
    queue.fail(second, "oom", "no", retryable=False)
    queue.fail(third, "oom", "no", retryable=True)
    queue.cancel(queue.list(1)[0].job_id)
    while queue.claim("w", LEASE_S):
        pass
    queue.submit(VideoJob(prompt="x", seed=1, tenant="free"))
    lose_one_cancelled(queue)
    queue.hold("free", "monday", "circles")
    queue.submit(VideoJob(prompt="x", seed=1, tenant="free"))
    return queue


def lose_one_cancelled(queue: JobQueue) -> None:
    """Its worker dies, so that it is only to be looked for."""
    lost = queue.claim("w", 0.001)
    assert lost
    queue.cancel(lost.job_id)
    (seen,) = wait_for(queue.expired)
    queue.requeue(seen)


def present(stage: RedisStage, queue: JobQueue) -> set[str]:
    """The suffixes in use, of prefixed ones the prefix."""
    key = QueueKeys(queue.name).key
    suffixes = {str(name).removeprefix(key("")) for name in stage.client.scan_iter(match=key("*"))}
    return {next((prefix for prefix in PREFIXES.values() if suffix.startswith(prefix)), suffix) for suffix in suffixes}


def test_a_used_queue_has_the_keys_that_are_listed_and_no_other(redis_stage) -> None:
    queue = use(redis_stage)
    assert present(redis_stage, queue) == {*SHARED_KEYS, *PREFIXES.values()}
    assert_keys_as_listed(redis_stage.client, queue.name)


def test_a_queue_that_everybody_left_keeps_counters_events_and_orders(redis_stage) -> None:
    queue = use(redis_stage)
    for record in queue.list(100):
        queue.cancel(record.job_id)
    redis_stage.elapse(LEASE_S + 1)
    for seen in queue.expired():
        queue.requeue(seen)
        queue.cancel(seen.job_id)
    assert queue.claim("w", LEASE_S) is None
    redis_stage.elapse(101)
    assert queue.depth().submitted == 0
    left = present(redis_stage, queue)
    assert left <= {"stat", "cfg", "ev", PREFIXES["debts"], PREFIXES["cards"]}, left


@pytest.mark.parametrize("fault", ["unlisted", "of another type", "ended without end", "ending too soon"])
def test_the_sweep_sees_a_key_that_is_not_as_listed(redis_stage, fault: str) -> None:
    queue = use(redis_stage)
    keys, client = QueueKeys(queue.name), redis_stage.client
    ended = next(record for record in queue.list(100) if record.finished_s)
    waiting = next(record for record in queue.list(100) if not record.finished_s)
    strange = {
        "unlisted": lambda: client.set(keys.key("new"), 1),
        "of another type": lambda: (client.delete(keys.key("wake")), client.set(keys.key("wake"), 1)),
        "ended without end": lambda: client.persist(keys.job(ended.job_id)),
        "ending too soon": lambda: client.pexpire(keys.job(waiting.job_id), 60_000),
    }
    strange[fault]()
    with pytest.raises(AssertionError):
        assert_keys_as_listed(client, queue.name)
    client.delete(*client.scan_iter(match=keys.key("*")))
