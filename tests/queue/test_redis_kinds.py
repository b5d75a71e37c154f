"""The queue over every kind of Redis there is: a cluster, sentinels, a socket, TLS. All of them real servers."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from socketserver import ThreadingTCPServer

import pytest
import redis
from leaks import ClosedAfter
from tls_forwarder import TlsForwarder
from waiting import wait_for

from fastflow_ray.errors import InvalidInput, QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.embedded import EmbeddedValkey, free_port, server_program
from fastflow_ray.queue.opening import open_desk
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.statistics_store import Kept, StatisticsStore
from fastflow_ray.queue.worker_card import WorkerCard

JOB = VideoJob(prompt="a small red circle", seed=7)
LEASE_S = 60.0
LAUNCHES = 3
Start = Callable[..., int]


def answers(port: int) -> bool:
    with closing(redis.Redis(port=port, protocol=2)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the server's program with more of its own options; answers its port."""
    with ExitStack() as running:

        def launch(*options: str, config: Path | None = None) -> int | None:
            port = free_port()
            folder = tmp_path / str(port)
            folder.mkdir()
            words = [server_program(), *([str(config)] if config else []), "--port", str(port), "--bind", "127.0.0.1"]
            words += ["--dir", str(folder), "--save", "", *options]
            process = running.enter_context(subprocess.Popen(words, stdout=subprocess.DEVNULL))
            running.callback(process.terminate)
            wait_for(lambda: process.poll() is not None or answers(port))
            return port if process.poll() is None else None

        def launch_somewhere(*options: str, config: Path | None = None) -> int:
            """A port may be taken by the time it is used; a cluster's node takes the one 10,000 above it as well."""
            found = (launch(*options, config=config) for _ in range(LAUNCHES))
            port = next((port for port in found if port is not None), None)
            assert port is not None, f"{server_program()} {' '.join(options)} ended {LAUNCHES} times at once"
            return port

        yield launch_somewhere


def live_a_whole_life(url: str) -> None:
    """Every script and every other command that the queue sends."""
    with closing(open_queue(url, "shapes")) as queue, closing(open_desk(url, "shapes")) as desk:
        desk.set_share("ann", Share(weight=2, max_running=1))
        queue.sign_in(WorkerCard("w", "gpu"), ttl_s=60)
        assert queue.hold("ann", "key", "shapes") == "shapes"
        first = queue.submit(JOB.model_copy(update={"tenant": "ann", "deadline_s": 100.0}), "key")
        second = queue.submit(JOB.model_copy(update={"delay_s": 100.0}))
        queue.wait(1.0)
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        assert queue.heartbeat(claim)
        assert queue.release(claim)
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        assert queue.expired() == []
        assert queue.fail(claim, "oom", "no", retryable=False) is JobState.DEAD
        assert queue.redrive(first.job_id)
        claim = queue.claim("w", LEASE_S)
        assert claim is not None
        assert queue.complete(claim, {})
        assert queue.claim("w", LEASE_S) is None
        queue.wait(0.01)
        assert queue.cancel(second.job_id) is JobState.CANCELLED
        assert queue.forget(second.job_id)
        assert [record.job_id for record in queue.list()] == [first.job_id]
        assert [card.gpu for card in queue.workers()] == ["gpu"]
        queue.sign_off("w")
        desk.pause("now")
        desk.resume()
        assert (desk.redrive_all(), desk.purge()) == (0, 0)
        assert len(desk.events() or []) == len(desk.events(limit=100) or []) > 5
        assert list(desk.books().complaints()) == []
        assert queue.depth().submitted == 1
    with closing(StatisticsStore(url, "kinds")) as store:
        revision = store.save({"key": "1"}, "w", 1, store.load().revision)
        assert store.load() == Kept({"key": "1"}, {"w": 1}, revision or "")


@pytest.fixture
def cluster_port(start: Start) -> int:
    """A whole cluster of one node: it refuses any script whose keys are not of one slot."""
    port = start("--cluster-enabled", "yes", "--appendonly", "no")
    with closing(redis.Redis(port=port, protocol=2, decode_responses=True)) as client:
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))  # ranges came with 7.0
        wait_for(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
    return port


def test_a_cluster_runs_every_script(cluster_port: int) -> None:
    live_a_whole_life(f"redis+cluster://127.0.0.1:{cluster_port}")


def test_the_cluster_of_these_tests_refuses_keys_of_two_slots(cluster_port: int) -> None:
    with (
        closing(redis.Redis(port=cluster_port, protocol=2)) as client,
        pytest.raises(redis.ResponseError, match="slot"),
    ):
        client.eval("return redis.call('GET', KEYS[1])", 2, "ff:{a}:x", "ff:{b}:x")


def test_a_cluster_that_is_away_is_said(closed_after: ClosedAfter) -> None:
    queue = closed_after(open_queue(f"redis+cluster://me:hunter2@127.0.0.1:{free_port()}", "shapes"))
    with pytest.raises(QueueUnavailable, match=r"Redis at the cluster at 127\.0\.0\.1:\d+ cannot be reached") as away:
        queue.submit(JOB)
    assert "hunter2" not in str(away.value)


def test_sentinels_lead_to_the_primary_and_after_it_to_the_promoted_replica(
    start: Start, tmp_path: Path, closed_after: ClosedAfter
) -> None:
    primary = start("--appendonly", "no")
    replica = start("--appendonly", "no", "--replicaof", "127.0.0.1", str(primary))
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor fleet 127.0.0.1 {primary} 1\nsentinel down-after-milliseconds fleet 60000\n")
    sentinel = start("--sentinel", config=config)
    url = f"redis+sentinel://127.0.0.1:{sentinel}/fleet"
    live_a_whole_life(url)
    watcher = closed_after(redis.Redis(port=sentinel, protocol=2, decode_responses=True))
    with closing(open_queue(url, "other")) as queue:
        kept = queue.submit(JOB).job_id
        wait_for(lambda: watcher.execute_command("SENTINEL", "REPLICAS", "fleet"), timeout_s=30)
        with closing(redis.Redis(port=primary, protocol=2)) as client:
            assert client.wait(1, 10_000) == 1
        wait_for(lambda: _fails_over(watcher), timeout_s=30)
        wait_for(lambda: watcher.sentinel_get_master_addr_by_name("fleet") == ("127.0.0.1", replica), timeout_s=60)
        with closing(Connection(url)) as fresh:
            wait_for(lambda: fresh.ask(lambda client: client.role()[0]) == "master", timeout_s=30)
        assert wait_for(lambda: queue.get(kept), timeout_s=30)


def _fails_over(watcher: redis.Redis) -> bool:
    try:
        return bool(watcher.execute_command("SENTINEL", "FAILOVER", "fleet"))
    except redis.ResponseError:  # the replica is not known well enough yet
        return False


def test_sentinels_that_know_no_such_service_are_said(start: Start, tmp_path: Path, closed_after: ClosedAfter) -> None:
    config = tmp_path / "sentinel.conf"
    config.write_text("")
    port = start("--sentinel", config=config)
    queue = closed_after(open_queue(f"redis+sentinel://127.0.0.1:{port}/nobody", "shapes"))
    with pytest.raises(QueueUnavailable, match="no sentinel knows a primary; check the service's name"):
        queue.submit(JOB)


def test_a_unix_socket_with_a_user_of_few_rights(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "valkey.sock"
    port = start("--unixsocket", str(path), "--appendonly", "no")
    rights = ["+@all", "-@admin", "-@dangerous"]
    with closing(redis.Redis(port=port, protocol=2)) as client:
        client.acl_setuser("fleet", enabled=True, passwords=["+s3cret"], keys=["ff:*"], commands=rights)
        client.acl_setuser("default", enabled=False)
    live_a_whole_life(f"unix://fleet:s3cret@{path}?db=0")
    with closing(open_queue(f"redis://fleet:s3cret@127.0.0.1:{port}/0", "shapes")) as queue:
        assert queue.depth().succeeded == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Self-signed for 127.0.0.1; key and certificate in one file."""
    path = tmp_path / "server.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "certificate.pem")]
    subprocess.run(words, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "certificate.pem").read_text())
    return path


@pytest.fixture
def tls_port(server: EmbeddedValkey, certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    handler = type("Handler", (TlsForwarder,), {"port": server.port, "context": context})
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as forwarder:
        thread = threading.Thread(target=forwarder.serve_forever)
        thread.start()
        yield forwarder.server_address[1]
        forwarder.shutdown()
        thread.join()


def test_tls_with_a_certificate_of_ones_own(tls_port: int, certificate: Path, server: EmbeddedValkey) -> None:
    with closing(redis.Redis(port=server.port, protocol=2)) as client:
        client.flushall()
    live_a_whole_life(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={certificate}")


def test_a_certificate_nobody_vouches_for_is_refused(tls_port: int, closed_after: ClosedAfter) -> None:
    queue = closed_after(open_queue(f"rediss://127.0.0.1:{tls_port}/0", "shapes"))
    with pytest.raises(QueueUnavailable, match="cannot be reached"):
        queue.submit(JOB)


@pytest.mark.parametrize(
    "url",
    ["redis+sentinel://h:1", "redis+sentinel://h:1/a/b", "redis+sentinel:///a", "redis+cluster://", "redis+ring://h",
     "rediss+cluster://:hunter2@h:port", "redis+sentinel://:hunter2@h,:1/a"],
)  # fmt: skip
def test_a_malformed_url_of_another_kind_is_invalid_input(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"redis\+sentinel://") as caught:
        open_queue(url, "shapes")
    assert "hunter2" not in str(caught.value)
