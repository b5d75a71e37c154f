"""A Ray of several nodes, one of which is told to leave: its worker hands its job over, and another node goes on.

So Ray's autoscaler and Kubernetes end a node: at a spot notice, a scale-down, an upgrade.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray._private.state import state
from ray_nodes import RAY, Cluster, node_of, two_nodes
from stage import Stage, job_of
from waiting import RAY_S, wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet, join_cluster
from orchestration.fleet_plan import FleetPlan

LONG = {"model": "shapes", "width": 64, "height": 64, "frames": 17, "steps": 200}
EARLY = 40  # of its steps, when the notice comes
PROMISED_S = 2.0  # from the notice to the job's requeue


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes for workers."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def fleet(cluster: Cluster, own_server: EmbeddedValkey, tmp_path: Path) -> Iterator[Fleet]:
    """A worker on each of the two nodes."""
    store_url = (tmp_path / "store").as_uri()
    plan = FleetPlan(("shapes",), own_server.url, store_url, Limits(2, 2), lease_s=30.0, beat_s=1.0, grace_s=10.0)
    fleet = join_cluster(cluster.address, plan)
    fleet.wait_ready()
    yield fleet
    fleet.dissolve()


def told_to_leave(cluster: Cluster, node: str) -> float:
    """Let Ray drain the node as an operator does; when Ray knew of it, by our clock."""
    why = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot notice"]
    words = ["--address", cluster.address, "--node-id", node, *why, "--deadline-remaining-seconds", "600"]
    drain = subprocess.Popen([*RAY, "drain-node", *words], stdout=subprocess.DEVNULL)
    wait_for(lambda: node in state.get_draining_nodes(), RAY_S, poll_s=0.02)
    knew_s = time.monotonic()
    assert drain.wait(60) == 0
    return knew_s


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_a_node_that_has_to_leave_hands_its_job_to_another(
    cluster: Cluster, fleet: Fleet, make_stage: Callable[..., Stage]
) -> None:
    stage = make_stage(fleet.plan.redis_url, store_url=fleet.plan.store_url, model="shapes")

    def now(job_id: str) -> JobRecord:
        record = stage.queue.get(job_id)
        assert record is not None
        return record

    queue = stage.recorded("client")
    whole = queue.submit(job_of(1, **LONG)).job_id
    wait_for(lambda: now(whole).state is JobState.SUCCEEDED, RAY_S)
    moved = queue.submit(job_of(1, **LONG)).job_id
    before = wait_for(lambda: reached(now(moved), EARLY), RAY_S)
    assert before.worker is not None
    stage.history.note("drain", worker=before.worker)
    knew_s = told_to_leave(cluster, node_of(before.worker))
    wait_for(lambda: now(moved).worker != before.worker or now(moved).state is not JobState.RUNNING, RAY_S, poll_s=0.02)
    stage.figures |= {"recovery_s": time.monotonic() - knew_s, "promised_s": PROMISED_S, "struck": {"drained node": 1}}
    resumed = wait_for(lambda: reached(now(moved), 1) if now(moved).worker != before.worker else None, RAY_S)
    stage.settle(timeout_s=300)
    assert stage.judge() == []

    after = now(moved)
    assert (after.state, after.attempts, after.crashes) == (JobState.SUCCEEDED, 1, 0), "the attempt was given back"
    assert after.worker != before.worker
    assert resumed.progress.step >= before.progress.step, "it went on where it was"
    assert after.result is not None
    assert after.result["frames_sha256"] == (now(whole).result or {})["frames_sha256"]


def reached(record: JobRecord, step: int) -> JobRecord | None:
    """The record once its job has got there; None before."""
    return record if record.state is JobState.RUNNING and record.progress.step >= step else None
