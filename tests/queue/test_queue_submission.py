"""What a queue promises to those who bring jobs; the same for Redis and the twin."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting import wait_for

from fastflow_ray.errors import IdempotencyConflict, InvalidInput, QueueFull
from fastflow_ray.jobs.payload import read_job, write_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobQueue, QueueDepth
from fastflow_ray.queue.limits import HOLD_S
from fastflow_ray.queue.submission import settle

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


def claimed_ids(queue: JobQueue) -> list[str]:
    ids = []
    while (claim := queue.claim("w", LEASE_S)) is not None:
        ids.append(claim.job_id)
    return ids


def test_a_submitted_job_waits_as_it_was_written(queue: JobQueue) -> None:
    record = queue.submit(JOB)
    assert record == queue.get(record.job_id)
    assert (record.state, record.attempts, record.crashes) == (JobState.QUEUED, 0, 0)
    assert (record.tenant, record.worker, record.result, record.error) == ("default", None, None, None)
    assert record.created_s > 1_600_000_000
    assert read_job(record.payload) == JOB


def test_ids_are_random_without_a_key(queue: JobQueue) -> None:
    assert queue.submit(JOB).job_id != queue.submit(JOB).job_id


def test_an_open_seed_is_drawn_once_and_for_all(queue: JobQueue) -> None:
    open_seed = VideoJob(prompt="x")
    first = queue.submit(open_seed, "key")
    assert read_job(first.payload).seed is not None
    assert queue.submit(open_seed, "key") == first
    assert queue.cancel(first.job_id)
    assert queue.forget(first.job_id)
    assert queue.submit(open_seed, "key").payload == first.payload
    seeds = {read_job(queue.submit(open_seed).payload).seed for _ in range(20)}
    assert len(seeds) == 20, "every other job draws its own"


def test_the_same_key_and_job_answers_the_job_as_it_is(queue: JobQueue) -> None:
    first = queue.submit(JOB, "key")
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    queue.complete(claim, {"video": 1})
    again = queue.submit(JOB, "key")
    assert (again.job_id, again.state, again.result) == (first.job_id, JobState.SUCCEEDED, {"video": 1})
    assert queue.depth().submitted == 1


def test_an_empty_key_names_no_job(queue: JobQueue) -> None:
    with pytest.raises(InvalidInput, match="the idempotency key is empty; leave it out"):
        queue.submit(JOB, "")
    assert queue.depth().submitted == 0


def test_the_same_key_with_another_job_is_a_conflict(queue: JobQueue) -> None:
    queue.submit(JOB, "key")
    with pytest.raises(IdempotencyConflict, match="'key'"):
        queue.submit(JOB.model_copy(update={"seed": 8}), "key")
    depth = queue.depth()
    assert depth == QueueDepth(queued=1, submitted=1, oldest_queued_age_s=depth.oldest_queued_age_s)


def test_keys_belong_to_a_tenant_and_a_queue(queue: JobQueue) -> None:
    assert queue.submit(JOB, "key").job_id == settle(queue.name, JOB, "key").job_id
    other_tenant = JOB.model_copy(update={"tenant": "other"})
    ids = {
        settle("shapes", JOB, "key").job_id,
        settle("wan", JOB, "key").job_id,
        settle("shapes", other_tenant, "key").job_id,
    }
    assert len(ids) == 3


def test_a_full_queue_refuses_new_jobs_but_knows_the_old(stage) -> None:
    queue = stage.open(max_queued=2)
    first = queue.submit(JOB, "key")
    queue.submit(JOB.model_copy(update={"delay_s": 100}))
    with pytest.raises(QueueFull, match="limit") as refused:
        queue.submit(JOB)
    assert refused.value.retry_after_s > 0
    assert queue.submit(JOB, "key") == first
    assert queue.claim("w", LEASE_S) is not None  # running jobs do not count
    queue.submit(JOB)
    assert queue.depth().submitted == 3


def test_a_key_is_held_for_the_first_model_that_came_with_it_for_a_while(stage) -> None:
    queue = stage.open()
    assert queue.hold("ann", "key", "circles") == "circles"
    assert queue.hold("ann", "key", "squares") == "circles"
    assert queue.hold("ann", "key", "circles") == "circles"
    assert queue.hold("bob", "key", "squares") == "squares"
    stage.elapse(HOLD_S + 1)
    wait_for(lambda: queue.hold("ann", "key", "squares") == "squares")
    assert queue.hold("ann", "key", "circles") == "squares"


def test_first_come_first_served_inside_a_priority(queue: JobQueue) -> None:
    later, sooner = JOB, JOB.model_copy(update={"priority": 200})
    low = [queue.submit(later).job_id for _ in range(5)]
    high = [queue.submit(sooner).job_id for _ in range(5)]
    assert claimed_ids(queue) == high + low


def test_tenants_take_turns_however_much_one_of_them_brings(queue: JobQueue) -> None:
    def bring(tenant: str, jobs: int) -> list[str]:
        return [queue.submit(JOB.model_copy(update={"tenant": tenant})).job_id for _ in range(jobs)]

    greedy = bring("greedy", 6)
    head = [claim.job_id for _ in range(2) if (claim := queue.claim("w", LEASE_S))]
    modest = bring("modest", 2)
    order = claimed_ids(queue)
    assert head == greedy[:2]
    assert [set(pair) for pair in zip(order[0:4:2], order[1:4:2], strict=True)] == [
        {greedy[2], modest[0]},
        {greedy[3], modest[1]},
    ]
    assert order[4:] == greedy[4:]


def test_an_idle_tenant_saves_up_no_credit(queue: JobQueue) -> None:
    old = queue.submit(JOB.model_copy(update={"tenant": "old"})).job_id
    busy = [queue.submit(JOB.model_copy(update={"tenant": "busy"})).job_id for _ in range(10)]
    assert set(claimed_ids(queue)) == {old, *busy}
    back = [queue.submit(JOB.model_copy(update={"tenant": "old"})).job_id for _ in range(3)]
    more = [queue.submit(JOB.model_copy(update={"tenant": "busy"})).job_id for _ in range(3)]
    order = claimed_ids(queue)
    assert [set(order[i : i + 2]) for i in (0, 2, 4)] == [set(pair) for pair in zip(back, more, strict=True)]


def test_a_delayed_job_is_claimed_when_due(stage) -> None:
    queue = stage.open()
    record = queue.submit(JOB.model_copy(update={"delay_s": 30}))
    assert record.state is JobState.DELAYED
    assert queue.claim("w", LEASE_S) is None
    stage.elapse(31)
    assert claimed_ids(queue) == [record.job_id]


def test_waiting_ends_at_once_when_there_is_work_or_no_time(queue: JobQueue) -> None:
    began_s = time.monotonic()
    queue.wait(0)
    queue.submit(JOB)
    queue.wait(60)
    assert time.monotonic() - began_s < 2.0
    assert queue.claim("w", LEASE_S) is not None


def test_waiting_takes_its_time_when_there_is_no_work(queue: JobQueue) -> None:
    began_s = time.monotonic()
    queue.wait(0.2)
    assert time.monotonic() - began_s >= 0.15


def test_a_waiting_worker_is_woken_by_a_submit(queue: JobQueue) -> None:
    with ThreadPoolExecutor(1) as threads:
        woken = threads.submit(queue.wait, 60.0)
        with pytest.raises(TimeoutError):
            woken.result(timeout=0.1)  # by then it waits
        queue.submit(JOB)
        woken.result(timeout=2.0)
    assert queue.claim("w", LEASE_S) is not None


def test_waiting_ends_when_the_next_job_is_due(stage) -> None:
    queue = stage.open()
    began_s = time.monotonic()
    queue.submit(JOB.model_copy(update={"delay_s": 0.2}))
    with ThreadPoolExecutor(1) as threads:
        threads.submit(queue.wait, 60.0).result(timeout=2.0)
    assert time.monotonic() - began_s >= 0.15
    stage.elapse(0.2)
    wait_for(lambda: queue.claim("w", LEASE_S))


def test_the_record_of_an_ended_job_expires(stage) -> None:
    queue = stage.open(result_ttl_s=100)
    record = queue.submit(JOB, "key")
    waiting = queue.submit(JOB)
    queue.cancel(record.job_id)
    stage.elapse(99)
    assert queue.get(record.job_id) is not None
    stage.elapse(101)
    assert [job.job_id for job in queue.list()] == [waiting.job_id]
    assert queue.depth().submitted == queue.depth().queued == 1
    assert queue.submit(JOB, "key").state is JobState.QUEUED


def test_payload_text_is_stable() -> None:
    assert write_job(JOB) == write_job(read_job(write_job(JOB)))
