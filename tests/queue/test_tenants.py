"""How tenants share a queue: lanes, weights, cost, caps; the same for Redis and the twin."""

from __future__ import annotations

from collections import Counter

import pytest

from fastflow_ray.errors import InvalidInput, QueueFull
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.queue.share import EVERYBODY, Share

LEASE_S = 60.0


def bring(queue: JobQueue, tenant: str, jobs: int, cost: float = 1.0, **fields: object) -> list[str]:
    job = VideoJob(prompt="a small red circle", seed=7, tenant=tenant, **fields)
    return [queue.submit(job, cost=cost).job_id for _ in range(jobs)]


def serve(queue: JobQueue, claims: int) -> list[Claim]:
    taken = [queue.claim("w", LEASE_S) for _ in range(claims)]
    return [claim for claim in taken if claim is not None]


def tenants_of(queue: JobQueue, claims: list[Claim]) -> Counter[str]:
    return Counter(record.tenant for claim in claims if (record := queue.get(claim.job_id)))


def test_tenants_are_served_by_their_weights(stage) -> None:
    queue = stage.open()
    stage.desk(queue).set_share("big", Share(weight=3))
    bring(queue, "big", 60)
    bring(queue, "small", 60)
    assert tenants_of(queue, serve(queue, 40)) == {"big": 30, "small": 10}


def test_tenants_share_work_and_not_numbers_of_jobs(stage) -> None:
    queue = stage.open()
    bring(queue, "long", 40, cost=4.0)
    bring(queue, "short", 40, cost=1.0)
    assert tenants_of(queue, serve(queue, 25)) == {"long": 5, "short": 20}


def test_a_flood_of_one_tenant_hides_nobody(stage) -> None:
    """Three tenants get a third each, within 5 %, for as long as all three have work."""
    queue = stage.open()
    for tenant, jobs in (("flood", 300), ("brook", 25), ("drop", 25)):
        bring(queue, tenant, jobs)
    served = tenants_of(queue, serve(queue, 75))
    assert all(abs(number / 75 - 1 / 3) < 0.05 / 3 for number in served.values())
    assert len(served) == 3


def test_lanes_are_strict_and_priorities_a_tenants_own(queue: JobQueue) -> None:
    loud = bring(queue, "loud", 2, priority=255)
    quiet = bring(queue, "quiet", 1, priority=1) + bring(queue, "quiet", 1, priority=2)
    batch = bring(queue, "loud", 1, lane=Lane.BATCH, priority=255)
    urgent = bring(queue, "quiet", 1, lane=Lane.INTERACTIVE, priority=0)
    order = [claim.job_id for claim in serve(queue, 6)]
    assert order == [*urgent, loud[0], quiet[1], loud[1], quiet[0], *batch]


def test_a_capped_tenant_hides_nobody_and_comes_back(stage) -> None:
    queue = stage.open()
    stage.desk(queue).set_share("capped", Share(max_running=1))
    capped = bring(queue, "capped", 3)
    free = bring(queue, "free", 2)
    claims = serve(queue, 5)
    assert [claim.job_id for claim in claims] == [capped[0], *free]
    assert queue.complete(claims[0], {})
    assert [claim.job_id for claim in serve(queue, 2)] == [capped[1]]


@pytest.mark.parametrize("ending", ["fail", "release", "requeue", "forgotten"])
def test_every_way_out_of_a_worker_makes_room_under_the_cap(stage, ending: str) -> None:
    queue = stage.open()
    stage.desk(queue).set_share("capped", Share(max_running=1))
    bring(queue, "capped", 2)
    (claim,) = serve(queue, 2)
    match ending:
        case "fail":
            assert queue.fail(claim, "oom", "no", retryable=False) is JobState.DEAD
        case "release":
            assert queue.release(claim)
        case "requeue":
            stage.elapse(LEASE_S + 1)
            assert queue.requeue(queue.expired()[0]) is JobState.QUEUED
        case "forgotten":
            assert queue.complete(claim, {})
            assert queue.forget(claim.job_id)
    assert len(serve(queue, 2)) == 1


def test_a_cap_holds_in_all_lanes_together(stage) -> None:
    queue = stage.open()
    stage.desk(queue).set_share("capped", Share(max_running=1))
    first = bring(queue, "capped", 1, lane=Lane.INTERACTIVE)
    second = bring(queue, "capped", 1, lane=Lane.BATCH)
    (claim,) = serve(queue, 2)
    assert [claim.job_id] == first
    assert queue.complete(claim, {})
    assert [claim.job_id for claim in serve(queue, 2)] == second


def test_a_raised_cap_and_a_lowered_one_hold_at_once(stage) -> None:
    queue = stage.open()
    desk = stage.desk(queue)
    desk.set_share(EVERYBODY, Share(max_running=0))
    bring(queue, "anna", 5)
    assert serve(queue, 1) == []
    desk.set_share(EVERYBODY, Share(max_running=2))
    assert len(serve(queue, 5)) == 2
    desk.set_share("anna", Share(max_running=3))
    assert len(serve(queue, 5)) == 1
    desk.set_share("anna", Share(max_running=1))
    assert serve(queue, 5) == []
    desk.set_share(EVERYBODY, Share())
    desk.set_share("anna", Share())
    assert len(serve(queue, 5)) == 2


def test_a_tenants_own_numbers_outdo_everybodys_one_by_one(stage) -> None:
    queue = stage.open()
    desk = stage.desk(queue)
    desk.set_share(EVERYBODY, Share(weight=4, max_queued=3))
    desk.set_share("anna", Share(weight=1))
    assert desk.shares() == {EVERYBODY: Share(weight=4, max_queued=3), "anna": Share(weight=1)}
    bring(queue, "anna", 3)
    with pytest.raises(QueueFull, match="3 jobs of tenant 'anna' wait"):
        bring(queue, "anna", 1)
    bring(queue, "berta", 3)
    assert tenants_of(queue, serve(queue, 4)) == {"berta": 3, "anna": 1}
    desk.set_share("anna", Share(max_queued=1))
    with pytest.raises(QueueFull, match="1 job of tenant 'anna' waits"):
        bring(queue, "anna", 1)
    desk.set_share("anna", Share())
    assert set(desk.shares()) == {EVERYBODY}


def test_a_tenants_limit_counts_what_waits_and_not_what_runs(stage) -> None:
    queue = stage.open()
    stage.desk(queue).set_share("anna", Share(max_queued=2))
    bring(queue, "anna", 1, delay_s=100)
    bring(queue, "anna", 1)
    with pytest.raises(QueueFull):
        bring(queue, "anna", 1)
    bring(queue, "berta", 1)
    serve(queue, 1)
    bring(queue, "anna", 1)


def test_a_released_job_costs_its_tenant_nothing(stage) -> None:
    queue = stage.open()
    bring(queue, "anna", 4)
    bring(queue, "berta", 4)
    for _ in range(5):
        (claim,) = serve(queue, 1)
        assert tenants_of(queue, [claim]) == {"anna": 1}
        assert queue.release(claim)
    assert tenants_of(queue, serve(queue, 4)) == {"anna": 2, "berta": 2}


WICKED = ["a}:{b", "a:b", "a\nb", "*", "", "x" * 65, "é", "a b", "a\x00b", "') redis.call('FLUSHALL') --"]


@pytest.mark.parametrize("name", WICKED)
def test_a_wicked_tenant_steers_no_key(stage, name: str) -> None:
    queue = stage.open()
    job = VideoJob(prompt="x", seed=1).model_copy(update={"tenant": name})
    with pytest.raises(InvalidInput, match="tenant"):
        queue.submit(job)
    if name != EVERYBODY:
        with pytest.raises(InvalidInput, match="cannot name a tenant"):
            stage.desk(queue).set_share(name, Share(weight=2))
    assert queue.depth().submitted == 0


@pytest.mark.parametrize("lane", ["first", "standard:x", ""])
def test_a_lane_that_does_not_exist_is_refused(queue: JobQueue, lane: str) -> None:
    with pytest.raises(InvalidInput, match="lane"):
        queue.submit(VideoJob(prompt="x", seed=1).model_copy(update={"lane": lane}))


@pytest.mark.parametrize("numbers", [{"weight": 0}, {"weight": float("nan")}, {"max_running": -1}, {"max_queued": -2}])
def test_a_share_that_means_nothing_is_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Share(**numbers)
