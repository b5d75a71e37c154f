"""The reaper takes jobs from the dead and never from the living."""

from __future__ import annotations

import pytest
from leaks import ClosedAfter
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.contract import Claim, JobQueue, Verdict
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.reaper import Reaper
from fastflow_ray.queue.redis_queue import RedisQueue

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S, GRACE_S = 60.0, 30.0


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run_jobs(queue: JobQueue, jobs: int) -> list[Claim]:
    for _ in range(jobs):
        queue.submit(JOB)
    return [claim for _ in range(jobs) if (claim := queue.claim("w", LEASE_S))]


def test_a_dead_workers_job_is_queued_again_after_the_grace(stage, clock: Clock) -> None:
    queue = stage.open()
    reaper = Reaper(queue, GRACE_S, clock)
    (claim,) = run_jobs(queue, 1)
    assert reaper.tick() == []
    stage.elapse(LEASE_S + 1)
    assert reaper.tick() == []
    clock.now_s += GRACE_S - 1
    assert reaper.tick() == []
    clock.now_s += 1
    (reaped,) = reaper.tick()
    assert (reaped.seen.job_id, reaped.seen.fence, reaped.state) == (claim.job_id, claim.fence, JobState.QUEUED)
    assert reaper.tick() == []


def test_no_live_job_is_taken_when_every_lease_looks_expired(stage, clock: Clock) -> None:
    queue = stage.open()
    reaper = Reaper(queue, GRACE_S, clock)
    claims = run_jobs(queue, 20)
    stage.elapse(3600)  # the server's clock jumped by an hour
    assert reaper.tick() == []
    for _ in range(10):
        clock.now_s += GRACE_S / 3
        assert all(queue.heartbeat(claim) is Verdict.MINE for claim in claims)
        stage.elapse(3600)
        assert reaper.tick() == []
    assert all(queue.complete(claim, {}) for claim in claims)


def test_a_clock_that_went_back_hides_no_dead_worker_and_takes_no_job_from_a_live_one(stage, clock: Clock) -> None:
    queue = stage.open()
    reaper = Reaper(queue, GRACE_S, clock)
    dead, alive = run_jobs(queue, 2)
    stage.elapse(-3600)
    assert reaper.tick() == []
    clock.now_s += GRACE_S
    assert queue.heartbeat(alive) is Verdict.MINE
    assert [reaped.seen.job_id for reaped in reaper.tick()] == [dead.job_id]
    assert queue.complete(alive, {})


def test_every_heartbeat_starts_the_grace_anew(stage, clock: Clock) -> None:
    queue = stage.open()
    reaper = Reaper(queue, GRACE_S, clock)
    (claim,) = run_jobs(queue, 1)
    stage.elapse(LEASE_S + 1)
    reaper.tick()
    clock.now_s += GRACE_S
    queue.heartbeat(claim)
    stage.elapse(LEASE_S + 1)  # it expired again before the reaper looked
    assert reaper.tick() == []
    clock.now_s += GRACE_S
    assert len(reaper.tick()) == 1


def test_two_reapers_count_one_crash(stage, clock: Clock) -> None:
    queue = stage.open()
    reapers = [Reaper(queue, GRACE_S, clock) for _ in range(2)]
    run_jobs(queue, 1)
    stage.elapse(LEASE_S + 1)
    assert [list(reaper.tick()) for reaper in reapers] == [[], []]
    clock.now_s += GRACE_S
    assert sum(len(reaper.tick()) for reaper in reapers) == 1
    assert queue.list()[0].crashes == 1


def test_losing_contact_makes_the_reaper_forget(
    own_server: EmbeddedValkey, clock: Clock, closed_after: ClosedAfter
) -> None:
    connection = closed_after(Connection(own_server.url, reconnect_pauses_s=()))
    queue = RedisQueue(connection, "shapes", QueueLimits())
    reaper = Reaper(queue, GRACE_S, clock)
    queue.submit(JOB)
    claim = queue.claim("w", lease_s=0.01)
    assert claim is not None
    wait_for(queue.expired)
    assert reaper.tick() == []
    own_server.stop()
    clock.now_s += GRACE_S
    with pytest.raises(QueueUnavailable):
        reaper.tick()
    own_server.start()
    assert reaper.tick() == []  # away for the whole grace: no worker could have beaten
    assert queue.heartbeat(claim) is Verdict.MINE
