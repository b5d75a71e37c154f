"""What happens to the queue when its server dies, forgets, or holds what somebody edited by hand."""

from __future__ import annotations

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
import redis
from leaks import ClosedAfter
from waiting import wait_for

from fastflow_ray.errors import CorruptPayload
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.states import TRANSITIONS, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Claim, JobQueue, Verdict
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.reaper import Reaper

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0


def take(queue: JobQueue) -> Claim:
    claim = queue.claim("w", LEASE_S)
    assert claim is not None
    return claim


def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path, closed_after: ClosedAfter) -> None:
    acknowledged: set[str] = set()
    server = EmbeddedValkey(tmp_path, fsync="always")
    for _ in range(3):
        with server:
            queue = closed_after(open_queue(server.url, "shapes"))
            acknowledged |= {queue.submit(JOB).job_id for _ in range(20)}
            completed = take(queue)
            assert queue.complete(completed, {"by": completed.fence})
            os.kill(server.pid, signal.SIGKILL)
    with server:
        queue = closed_after(open_queue(server.url, "shapes"))
        assert {record.job_id for record in queue.list(limit=1000)} == acknowledged
        assert (queue.depth().queued, queue.depth().succeeded, queue.depth().submitted) == (57, 3, 60)


def test_syncing_once_a_second_keeps_what_the_server_had_written(
    own_server: EmbeddedValkey, closed_after: ClosedAfter
) -> None:
    """Not what it acknowledged: while a sync drags on, the server answers first and writes later."""
    queue = closed_after(open_queue(own_server.url, "shapes"))
    acknowledged = {queue.submit(JOB).job_id for _ in range(20)}
    with redis.Redis.from_url(own_server.url) as client:
        wait_for(lambda: client.info("persistence")["aof_buffer_length"] == 0)
    os.kill(own_server.pid, signal.SIGKILL)
    own_server.stop()
    own_server.start()
    assert {record.job_id for record in queue.list(limit=1000)} == acknowledged


def test_a_claim_survives_the_server(tmp_path: Path, closed_after: ClosedAfter) -> None:
    with EmbeddedValkey(tmp_path, fsync="always") as server:
        queue = closed_after(open_queue(server.url, "shapes"))
        queue.submit(JOB)
        claim = take(queue)
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        server.start()
        assert queue.heartbeat(claim) is Verdict.MINE
        assert queue.complete(claim, {})


def test_fences_rise_even_after_the_tail_of_the_log_was_lost(tmp_path: Path, closed_after: ClosedAfter) -> None:
    data, old_copy = tmp_path / "data", tmp_path / "copy"
    with EmbeddedValkey(data) as server:
        queue = closed_after(open_queue(server.url, "shapes"))
        queue.submit(JOB)
        first = take(queue)
        queue.release(first)
    shutil.copytree(data, old_copy)
    with EmbeddedValkey(data) as server:  # the window that a power cut forgets
        queue = closed_after(open_queue(server.url, "shapes"))
        forgotten = take(queue)
    with EmbeddedValkey(old_copy) as server:
        queue = closed_after(open_queue(server.url, "shapes"))
        again = take(queue)
        assert again.job_id == forgotten.job_id
        assert first.fence < forgotten.fence < again.fence
        assert queue.heartbeat(forgotten) is Verdict.LOST
        assert not queue.complete(forgotten, {"by": "the forgotten attempt"})
        assert queue.complete(again, {})


def test_no_job_is_claimed_twice_by_eight_threads(redis_stage) -> None:
    queue = redis_stage.open()
    submitted = {queue.submit(JOB).job_id for _ in range(200)}

    def drain(worker: int) -> list[Claim]:
        claims = []
        while (claim := queue.claim(f"w{worker}", LEASE_S)) is not None:
            claims.append(claim)
        return claims

    with ThreadPoolExecutor(8) as threads:
        claims = [claim for mine in threads.map(drain, range(8)) for claim in mine]
    assert len(claims) == len(submitted)
    assert {claim.job_id for claim in claims} == submitted
    assert len({claim.fence for claim in claims}) == len(claims)


def test_a_blocked_worker_is_woken_by_a_submit(redis_stage) -> None:
    queue = redis_stage.open()
    with ThreadPoolExecutor(1) as threads:
        woken = threads.submit(queue.wait, 60.0)
        wait_for(lambda: redis_stage.client.info("clients")["blocked_clients"] > 0)
        queue.submit(JOB)
        woken.result(timeout=2.0)
    assert queue.claim("w", LEASE_S) is not None


def test_no_stale_tokens_wake_workers_of_an_empty_queue(redis_stage) -> None:
    queue = redis_stage.open()
    for _ in range(100):
        queue.submit(JOB)
    wake = QueueKeys(queue.name).key("wake")
    assert redis_stage.client.llen(wake) == 64
    while queue.claim("w", LEASE_S):
        pass
    assert redis_stage.client.llen(wake) == 0


def test_submitting_clears_away_what_expired(redis_stage) -> None:
    queue = redis_stage.open(result_ttl_s=100)
    queue.cancel(queue.submit(JOB).job_id)
    redis_stage.elapse(101)
    left = queue.submit(JOB).job_id
    keys = QueueKeys(queue.name)
    assert redis_stage.client.zrange(keys.key("index"), 0, -1) == [left]
    assert redis_stage.client.zcard(keys.key("cancelled")) == 0


def test_every_recorded_transition_is_in_the_table(redis_stage) -> None:
    queue = redis_stage.open()
    rng = Random(5)
    for _ in range(40):
        queue.submit(JOB.model_copy(update={"delay_s": rng.choice([0, 10])}))
        if claim := queue.claim("w", LEASE_S):
            match rng.randrange(6):
                case 0:
                    queue.complete(claim, {})
                case 1:
                    queue.fail(claim, "oom", "", retryable=True)
                case 2:
                    queue.fail(claim, "oom", "", retryable=False)
                case 3:
                    queue.release(claim)
                case 4:
                    queue.cancel(claim.job_id)
        redis_stage.elapse(rng.choice([5, 70]))
        for seen in queue.expired():
            queue.requeue(seen)
        for record in queue.list():
            if record.state is JobState.DEAD:
                queue.redrive(record.job_id)
    moves = set()
    last: dict[str, JobState] = {}
    for _, event in redis_stage.client.xrange(QueueKeys(queue.name).key("ev")):
        state = JobState(event["state"])
        if (before := last.get(event["job"])) is not None:
            moves.add((before, state))
        last[event["job"]] = state
    assert moves <= {(before, after) for before, afters in TRANSITIONS.items() for after in afters}
    assert len(moves) >= 8
    assert last == {record.job_id: record.state for record in queue.list(limit=1000)}


DAMAGES = [
    {"payload": "\ufffd not json"},
    {"payload": b"\xff\xfe\x00"},
    {"state": "asleep"},
    {"attempts": "many"},
    {"crashes": "nan"},
    {"fence": "-1e400"},
    {"place": "first"},
    {"created_ms": "yesterday"},
    {"max_attempts": "9" * 5000},
    {"progress": "[1, 2"},
    {"progress": '{"step": "three"}'},
    {"result": "[]"},
    {"heartbeats": "0x"},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: "-".join(damage))
def test_a_damaged_field_breaks_neither_the_job_nor_its_neighbours(redis_stage, damage: dict[str, object]) -> None:
    queue = redis_stage.open()
    damaged = queue.submit(JOB).job_id
    neighbour = queue.submit(JOB).job_id
    redis_stage.client.hset(QueueKeys(queue.name).job(damaged), mapping=damage)
    assert {record.job_id for record in queue.list()} == {damaged, neighbour}
    claims = {claim.job_id: claim for _ in range(2) if (claim := queue.claim("w", LEASE_S))}
    assert set(claims) == {damaged, neighbour}
    assert queue.complete(claims[neighbour], {})
    assert queue.fail(claims[damaged], "invalid_input", "corrupt", retryable=False) is JobState.DEAD
    assert queue.depth().submitted == queue.depth().dead + queue.depth().succeeded == 2


def test_a_corrupt_payload_travels_as_text(redis_stage) -> None:
    queue = redis_stage.open()
    record = queue.submit(JOB)
    redis_stage.client.hset(QueueKeys(queue.name).job(record.job_id), "payload", json.dumps({"prompt": 3}))
    with pytest.raises(CorruptPayload):
        read_job(take(queue).payload)


def test_a_running_job_with_a_gutted_record_is_reaped(redis_stage) -> None:
    queue = redis_stage.open()
    queue.submit(JOB)
    claim = take(queue)
    record_key = QueueKeys(queue.name).job(claim.job_id)
    redis_stage.client.delete(record_key)
    redis_stage.client.hset(record_key, "payload", "what is left")
    redis_stage.elapse(LEASE_S + 1)
    (shown,) = queue.list()
    assert shown.error is not None
    assert "damaged" in shown.error["message"]
    assert queue.heartbeat(claim) is Verdict.LOST
    reaper = Reaper(queue, grace_s=0.0)
    assert [reaped.state for reaped in reaper.tick()] == [JobState.QUEUED]
    assert take(queue).payload == "what is left"


@pytest.mark.parametrize("listed_first", [True, False])
def test_ids_without_a_record_leave_the_books(redis_stage, listed_first: bool) -> None:
    queue = redis_stage.open()
    for delay_s in (0, 0, 10):
        queue.submit(JOB.model_copy(update={"delay_s": delay_s}))
    running = take(queue)
    for record in queue.list():
        redis_stage.client.delete(QueueKeys(queue.name).job(record.job_id))
    if listed_first:
        assert queue.list() == []
    redis_stage.elapse(LEASE_S + 1)
    assert [queue.requeue(seen) for seen in queue.expired()] == ([] if listed_first else [None])
    assert queue.heartbeat(running) is Verdict.LOST
    assert queue.claim("w", LEASE_S) is None
    assert queue.list() == []
    assert queue.depth().submitted == 0


def test_a_key_of_another_type_is_struck_off(redis_stage) -> None:
    queue = redis_stage.open()
    broken, good = queue.submit(JOB).job_id, queue.submit(JOB).job_id
    record_key = QueueKeys(queue.name).job(broken)
    redis_stage.client.delete(record_key)
    redis_stage.client.set(record_key, "a string")
    assert take(queue).job_id == good
    assert queue.depth().submitted == 1
