"""A Ray of several nodes, one with a bad GPU: whoever begins there loses it at the next job. It gets no third."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray_nodes import Cluster, node_of, two_nodes
from stage import Stage, job_of
from waiting import RAY_S, wait_for

from fastflow_ray.errors import DeviceLost
from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet, join_cluster
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from workers.status import WorkerState

SHORT = {"model": "shapes", "width": 32, "height": 32, "frames": 5, "steps": 6}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes for workers."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def fleet(cluster: Cluster, own_server: EmbeddedValkey, tmp_path: Path) -> Iterator[Fleet]:
    """A worker on each of the two nodes."""
    plan = FleetPlan(("shapes",), own_server.url, (tmp_path / "store").as_uri(), Limits(2, 2))
    fleet = join_cluster(cluster.address, plan)
    fleet.wait_ready()
    yield fleet
    fleet.dissolve()


def idle_on(fleet: Fleet, node: str) -> str | None:
    """The name of the worker that waits there for a job; None: nobody does."""
    return next(
        (one.name for one in fleet.status().workers if one.node == node and one.state is WorkerState.IDLE), None
    )


def break_device(worker: str) -> None:
    """At its next job it computes nothing any more."""

    def lose(actor: Any) -> None:
        def generate(*_: object, **__: object) -> None:
            raise DeviceLost("cuda computes nothing any more: Xid 79; go on in another process")

        actor._worker._stand._engine.generate = generate

    ray.get(ray.get_actor(worker, NAMESPACE).__ray_call__.remote(lose))


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_a_node_with_a_bad_gpu_ends_no_job_and_its_worker_begins_elsewhere(
    fleet: Fleet, make_stage: Callable[..., Stage]
) -> None:
    stage = make_stage(fleet.plan.redis_url, store_url=fleet.plan.store_url, model="shapes")
    queue, jobs = stage.recorded("client"), 0
    bad, good = sorted(one.node for one in fleet.status().workers)
    for lost in (1, 2):
        worker = wait_for(lambda: idle_on(fleet, bad), RAY_S)
        break_device(worker)
        for _ in range(4):  # the other one takes some
            jobs += 1
            queue.submit(job_of(jobs, **SHORT))
        wait_for(lambda lost=lost: fleet.status().exits.get("device_lost") == lost, RAY_S)
    assert set(fleet.status().resting) == {bad}
    wait_for(lambda: stage.queue.depth().succeeded == jobs, RAY_S)
    assert fleet.status().count(WorkerState.PENDING) == 1, "it waits, and there is a GPU"

    ray.kill(ray.get_actor(wait_for(lambda: idle_on(fleet, good), RAY_S), NAMESPACE))
    wait_for(lambda: fleet.status().exits.get("died") == 1, RAY_S)
    worker = wait_for(lambda: idle_on(fleet, good), RAY_S)
    assert node_of(worker) == good
    assert [one.state for one in fleet.status().workers if one.name != worker] == [WorkerState.PENDING]
    stage.figures |= {"struck": {"lost device": 2}}
