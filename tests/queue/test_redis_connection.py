"""What people read when Redis is away or refuses, and how long a caller waits."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from leaks import ClosedAfter

from fastflow_ray.errors import InvalidInput, QueueUnavailable
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.redis_queue import RedisQueue
from fastflow_ray.queue.statistics_store import StatisticsStore

JOB = VideoJob(prompt="a small red circle", seed=7)


def refusal(url: str) -> str:
    with closing(open_queue(url, "shapes")) as queue, pytest.raises(QueueUnavailable) as caught:
        queue.submit(JOB)
    assert caught.value.__cause__ is None  # a chained traceback would show what the message hides
    return str(caught.value)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_unreachable_server_is_named_with_its_remedy() -> None:
    port = closed_port()
    line = refusal(f"redis://me:hunter2@127.0.0.1:{port}/0")
    assert line == f"Redis at 127.0.0.1:{port} cannot be reached; start a server there, or correct the Redis URL"


@pytest.mark.parametrize("credentials", ["", ":hunter2@", "me:hunter2@"])
def test_a_wrong_password_is_said_and_not_shown(
    own_server: EmbeddedValkey, credentials: str, closed_after: ClosedAfter
) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("requirepass", "right")
    line = refusal(f"redis://{credentials}127.0.0.1:{own_server.port}/0")
    assert "refuses the password" in line
    assert "hunter2" not in line
    right = closed_after(open_queue(f"redis://:right@127.0.0.1:{own_server.port}/0", "shapes"))
    assert right.submit(JOB).job_id


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://:hunter2@h", "redis://:hunter2@h:port/0", ""])
def test_a_malformed_url_is_invalid_input(url: str) -> None:
    with pytest.raises(InvalidInput, match="redis://") as caught:
        open_queue(url, "shapes")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/0?ssl_ca_certs=/ca.pem",
        "rediss://h/0?ssl_cert_reqs=maybe",
        "unix:///s.sock?tea=1",
        "redis+sentinel://h/service?tea=1",
    ],
)
def test_an_option_that_such_a_server_has_not_is_refused_before_it_is_asked(url: str) -> None:
    with pytest.raises(InvalidInput, match="its options"):
        open_queue(url, "shapes")


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
@pytest.mark.parametrize("place", ["rediss://h/0", "rediss+sentinel://h/service", "rediss+cluster://h"])
def test_a_file_for_tls_that_cannot_be_read_is_named(tmp_path: Path, place: str, option: str) -> None:
    missing = tmp_path / "no such.pem"
    with pytest.raises(InvalidInput) as caught:
        open_queue(f"{place}?{option}={quote(str(missing))}", "shapes")
    assert str(caught.value).endswith(
        f"the file {missing}, which cannot be read (No such file or directory); correct its path"
    )


@pytest.mark.parametrize("name", ["", "a{b}", "a:b", "x" * 65, "Ä"])
def test_a_queue_is_named_like_a_model(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a queue"):
        open_queue("redis://127.0.0.1:1/0", name)


def test_a_silent_server_blocks_nobody_for_ever(closed_after: ClosedAfter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        connection = closed_after(Connection(url, answer_timeout_s=0.05))
        with pytest.raises(QueueUnavailable, match=r"did not answer within 0\.05 s"):
            RedisQueue(connection, "shapes", QueueLimits()).submit(JOB)


def test_a_server_out_of_memory_says_so(own_server: EmbeddedValkey, closed_after: ClosedAfter) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(QueueUnavailable, match="is out of memory; raise its maxmemory"):
        closed_after(StatisticsStore(own_server.url, "statistics")).save({}, "w", 1, "0")


def test_a_replica_is_refused(own_server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.replicaof("127.0.0.1", closed_port())
    assert "read-only replica" in refusal(own_server.url)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERR Error running script (call to f_1): @user_script:3: -READONLY You can't write", "read-only replica"),
        ("ERR Error running script (call to f_1): @user_script:3: -OOM command not allowed", "out of memory"),
        ("ERR Protocol error: unauthenticated multibulk length", "refuses the password"),
    ],
)
def test_what_older_servers_say_is_understood(
    own_server: EmbeddedValkey, said: str, told: str, closed_after: ClosedAfter
) -> None:
    """A script that answers with the words of Redis 6.2 and 7.0."""
    connection = closed_after(Connection(own_server.url, reconnect_pauses_s=()))
    with pytest.raises(QueueUnavailable, match=told):
        connection.ask(lambda client: client.eval("return redis.error_reply(ARGV[1])", 0, said))


def test_a_user_without_rights_is_told(own_server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(own_server.url) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+hunter2"], keys=["*"], commands=["+get"])
    line = refusal(f"redis://reader:hunter2@127.0.0.1:{own_server.port}/0")
    assert "widen the rights" in line
    assert "hunter2" not in line


def test_scripts_are_sent_again_to_a_server_that_lost_them(
    own_server: EmbeddedValkey, closed_after: ClosedAfter
) -> None:
    queue = closed_after(open_queue(own_server.url, "shapes"))
    queue.submit(JOB)
    with redis.Redis.from_url(own_server.url) as client:
        client.script_flush()
    assert queue.submit(JOB).job_id
    assert queue.depth().queued == 2


def test_a_restart_is_ridden_out_by_whoever_was_connected(tmp_path: Path, closed_after: ClosedAfter) -> None:
    with EmbeddedValkey(tmp_path, fsync="always") as server:
        queue = closed_after(open_queue(server.url, "shapes"))
        store = closed_after(StatisticsStore(server.url, "statistics"))
        store.save({"key": "1"}, "w", 1, "0")
        queue.submit(JOB)
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
        starting = threading.Thread(target=server.start)
        starting.start()
        assert queue.claim("w", 60.0)
        assert queue.submit(JOB).job_id
        assert store.load().documents == {"key": "1"}
        starting.join()
        assert (queue.depth().queued, queue.depth().running) == (1, 1)
