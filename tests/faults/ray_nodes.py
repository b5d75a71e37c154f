"""A Ray of several nodes on one machine: a head without a GPU, and nodes with one each."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from processes import alive, family_of
from ray._private.state import state
from waiting import RAY_S, wait_for

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
# Of their own, for nodes that share one machine: Ray's defaults are for one node each.
ANY_PORTS = ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]


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

    def add_node(self) -> None:
        """One more for a worker."""
        self.start("--address", self.address, "--num-gpus", "1")

    @property
    def address(self) -> str:
        """Of the head, which says that it runs, and then writes it down."""
        written = self.folder / "ray_current_cluster"
        return wait_for(lambda: written.read_text() if written.is_file() else "")


def ended(node: subprocess.Popen[bytes]) -> None:
    """Ray's own processes of a node end with the one that started them."""
    family = family_of(node.pid)
    node.terminate()
    node.wait(60)
    wait_for(lambda: not alive(family), RAY_S)


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """For workers, beside the head."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="ff-", dir="/tmp") as folder,
        ExitStack() as nodes,
    ):
        patch.setenv("RAY_AUTH_MODE", "disabled")
        cluster = Cluster(Path(folder), nodes)
        cluster.start("--head", "--port", "0", "--num-gpus", "0", "--include-dashboard", "false")
        for _ in range(2):
            cluster.add_node()
        nodes.callback(ray.shutdown)
        yield cluster


def node_of(worker: str) -> str:
    """Where the actor of this name runs."""
    actors = state.actor_table(None, actor_state_name="ALIVE").values()
    (node,) = (actor["Address"]["NodeID"] for actor in actors if actor["Name"] == worker)
    return str(node)
