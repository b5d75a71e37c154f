"""Devices that are lost, on a real Ray: its supervisor hears of it, and the machine gets no workers for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import ray
from leaks import ClosedAfter
from waiting import RAY_S, wait_for

from fastflow_ray.errors import DeviceLost
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue, JobRecord
from fastflow_ray.queue.worker_card import RESTING
from orchestration.fleet import Fleet
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.ray_pool import RayPool
from workers.status import WorkerState

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("ray_cluster")]


def break_device(worker: str) -> None:
    """At its next job this worker computes nothing any more."""

    def lose(actor: Any) -> None:
        def generate(*_: object, **__: object) -> None:
            raise DeviceLost("cuda computes nothing any more: Xid 79; go on in another process")

        actor._worker._stand._engine.generate = generate

    ray.get(ray.get_actor(worker, NAMESPACE).__ray_call__.remote(lose))


def delayed(queue: JobQueue, job_id: str) -> JobRecord | None:
    """The job, once it waits for its next attempt."""
    record = queue.get(job_id)
    return record if record and record.state is JobState.DELAYED else None


def test_a_machine_on_which_two_workers_lost_their_devices_gets_no_third(
    plan: Callable[..., FleetPlan], closed_after: ClosedAfter
) -> None:
    fleet = Fleet(plan(floor=1, ceiling=1))
    queue = closed_after(open_queue(fleet.plan.redis_url, fleet.plan.models[0]))
    for lost in range(2):
        fleet.wait_ready(RAY_S)
        (worker,) = [one for one in fleet.status().workers if one.state is WorkerState.IDLE]
        break_device(worker.name)
        job = VideoJob(prompt="a red circle", model=queue.name, width=32, height=16, frames=5, steps=6)
        job_id = queue.submit(job).job_id
        record = wait_for(lambda job_id=job_id: delayed(queue, job_id), RAY_S)
        assert (record.attempts, record.crashes) == (1, 0)
        queue.cancel(job_id)
        wait_for(lambda lost=lost: fleet.status().exits.get("device_lost") == lost + 1, RAY_S)

    (machine,) = fleet.status().resting
    assert machine == ray.nodes()[0]["NodeID"]
    wait_for(lambda: [(card.worker, card.state) for card in queue.workers()] == [(machine, RESTING)])
    wait_for(lambda: [one.state for one in fleet.status().workers] == [WorkerState.PENDING])
    assert ray.available_resources()["GPU"] >= 1
    assert fleet.dissolve()


def test_a_worker_begins_on_no_node_that_is_to_be_avoided(plan: Callable[..., FleetPlan]) -> None:
    """Of a single node, it waits; told of another one, it begins."""
    its = plan()
    pool, here = RayPool(its), ray.nodes()[0]["NodeID"]
    avoids, begins = f"{its.worker_prefix}0", f"{its.worker_prefix}1"
    pool.create(avoids, avoid=[here, "f" * len(here)])
    pool.create(begins, avoid=["f" * len(here)])
    try:
        wait_for(lambda: {one.name: one.node for one in pool.look()} == {avoids: "", begins: here}, RAY_S)
        assert ray.available_resources()["GPU"] >= 1
    finally:
        for name in (avoids, begins):
            pool.kill(name)
