"""Fault 12: a replica is promoted under clients and workers, and the queue lives in a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis
from checker import Violation
from hands import clients, hands, reaping
from mutants import COUNTED_FENCE, mistake
from server_faults import kill
from stage import Stage
from tcp_proxy import TcpProxy
from waiting import wait_for

from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.embedded import EmbeddedValkey, free_port

LAG_S = 0.5  # how far the replica is behind when it is promoted


@contextmanager
def pair(folder: Path, seed: int) -> Iterator[tuple[EmbeddedValkey, EmbeddedValkey, TcpProxy]]:
    """A primary, its replica, and the address at which clients find whoever is in charge."""
    with (
        EmbeddedValkey(folder / "primary") as primary,
        EmbeddedValkey(folder / "replica") as replica,
        TcpProxy(primary.port, seed) as proxy,
    ):
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", primary.port)
            wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        yield primary, replica, proxy


def promote(stage: Stage, primary: EmbeddedValkey, replica: EmbeddedValkey, proxy: TcpProxy) -> None:
    """The replica falls behind and takes the place of the primary, which dies with what it acknowledged meanwhile."""
    with redis.Redis.from_url(replica.url) as client:
        client.replicaof("127.0.0.1", 1)  # nobody there: it keeps what it has
        time.sleep(LAG_S)
        kill(primary)
        client.replicaof("NO", "ONE")
    proxy.target_port = replica.port
    stage.history.note("promoted")


def change_hands(stage: Stage, folder: Path) -> list[Violation]:
    with pair(folder, stage.seed) as (primary, replica, proxy):
        stage.redis_url = replica.url
        with hands(stage, 4, proxy.url), reaping(stage, proxy.url):
            with clients(stage, 2, proxy.url):
                time.sleep(1.0)
                promote(stage, primary, replica, proxy)
                time.sleep(1.0)
            stage.queue = stage.keep(stage.recorded("judge", replica.url))
            stage.settle(timeout_s=60)
        stage.figures["struck"] = {"promotions": 1}
        return stage.judge(server_forgets=True)


@pytest.mark.fault
def test_a_promoted_replica_issues_no_fence_twice(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    assert change_hands(make_stage("redis://127.0.0.1:1/0"), tmp_path) == []


@pytest.mark.fault
def test_control_a_fence_that_only_counts_is_issued_twice(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    with mistake(COUNTED_FENCE, "claim"):
        found = change_hands(make_stage("redis://127.0.0.1:1/0"), tmp_path)
    assert "I3" in {violation.invariant for violation in found}


def test_a_cluster_runs_every_script(make_stage: Callable[..., Stage], cluster_url: str) -> None:
    """Of one node, which refuses keys of two slots in one script as any other does."""
    stage = make_stage(cluster_url)
    with hands(stage, 4), reaping(stage), clients(stage, 2):
        time.sleep(1.0)
    with hands(stage, 2), reaping(stage):
        stage.settle(timeout_s=30)
    stage.figures["struck"] = {"cluster of": 1}
    assert stage.judge() == []


@pytest.fixture
def cluster_url(own_server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The embedded server in cluster mode, with all slots."""
    options = EmbeddedValkey._options
    with monkeypatch.context() as patch:
        # Without a number of its own the port to other nodes is 10,000 higher, where the kernel has its clients' ports.
        clustered = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        patch.setattr(EmbeddedValkey, "_options", lambda self: [*options(self), *clustered])
        with EmbeddedValkey(tmp_path / "cluster") as node, closing(Connection(node.url)) as connection:
            connection.ask(lambda client: client.execute_command("CLUSTER ADDSLOTS", *range(16_384)))
            wait_for(lambda: connection.ask(lambda client: client.cluster("INFO"))["cluster_state"] == "ok")
            yield node.url
