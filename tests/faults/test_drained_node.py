"""A Ray of several nodes, one of which is told to leave: its worker hands its job over, and another node goes on.

So Ray's autoscaler and Kubernetes end a node: at a spot notice, a scale-down, an upgrade.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from processes import alive, family_of
from ray._private.state import state
from stage import Stage, job_of
from waiting import RAY_S, wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet, join_cluster
from orchestration.fleet_plan import FleetPlan

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# Of their own, for nodes that share one machine: Ray's defaults are for one node each.
ANY_PORTS = ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]
LONG = {"model": "shapes", "width": 64, "height": 64, "frames": 17, "steps": 200}
EARLY = 40  # of its steps, when the notice comes
PROMISED_S = 2.0  # from the notice to the job's requeue


@dataclass(frozen=True)
class Cluster:
    """A head without a GPU, and nodes with one each."""

    folder: Path  # of a short name: Ray puts sockets below it
    nodes: ExitStack

    def start(self, *words: str) -> None:
        """One more node, until the end. One after the other: of two that start at once on a machine, one fails."""
        log = Path(tempfile.mkstemp(dir=self.folder, suffix=".log")[1])
        here = ["--block", "--node-ip-address", "127.0.0.1", "--temp-dir", str(self.folder), "--num-cpus", "2"]
        with log.open("w") as told:
            node = subprocess.Popen([*RAY, "start", *here, *ANY_PORTS, *words], stdout=told, stderr=told)
        self.nodes.callback(ended, node)
        wait_for(lambda: "Ray runtime started" in log.read_text() or node.poll() is not None, RAY_S)
        assert node.poll() is None, log.read_text()

    @property
    def address(self) -> str:
        """Of the head."""
        return (self.folder / "ray_current_cluster").read_text()


def ended(node: subprocess.Popen[bytes]) -> None:
    """Ray's own processes of a node end with the one that started them."""
    family = family_of(node.pid)
    node.terminate()
    node.wait(60)
    wait_for(lambda: not alive(family), RAY_S)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two nodes for workers."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with tempfile.TemporaryDirectory(prefix="ff-", dir="/tmp") as folder, ExitStack() as nodes:
        cluster = Cluster(Path(folder), nodes)
        cluster.start("--head", "--port", "0", "--num-gpus", "0", "--include-dashboard", "false")
        for _ in range(2):
            cluster.start("--address", cluster.address, "--num-gpus", "1")
        nodes.callback(ray.shutdown)
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


def node_of(worker: str) -> str:
    """Where the actor of this name runs."""
    actors = state.actor_table(None, actor_state_name="ALIVE").values()
    (node,) = (actor["Address"]["NodeID"] for actor in actors if actor["Name"] == worker)
    return str(node)


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
