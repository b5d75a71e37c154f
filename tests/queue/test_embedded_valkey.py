"""The embedded server keeps its data, holds its folder alone and does not outlive whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue import embedded
from fastflow_ray.queue.embedded import PORTS, EmbeddedValkey


def exists(pid: int) -> bool:
    """Whether the process still runs; a zombie that nobody waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_it_is_durable_private_and_out_of_the_terminals_way(own_server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(own_server.url, decode_responses=True) as client:
        told = client.config_get("*")
    assert (told["appendonly"], told["appendfsync"]) == ("yes", "everysec")
    assert (told["maxmemory-policy"], told["bind"]) == ("noeviction", "127.0.0.1")
    assert own_server.port in PORTS
    assert os.getpgid(own_server.pid) == own_server.pid


def test_it_syncs_before_every_answer_where_that_is_wanted(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path, fsync="always") as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("appendfsync") == {"appendfsync": "always"}


def test_its_data_survives_a_restart_on_the_same_folder(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "deep" / "folder")
    for expected in (None, "kept"):
        with server, redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.get("key") == expected
            client.set("key", "kept")


def test_stopping_ends_the_process_and_may_be_repeated(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path).start()
    pid = server.pid
    server.stop()
    server.stop()
    assert not exists(pid)
    with pytest.raises(QueueUnavailable, match="start"):
        _ = server.pid


def test_one_folder_serves_one_server(own_server: EmbeddedValkey) -> None:
    with pytest.raises(QueueUnavailable, match="already runs"):
        EmbeddedValkey(own_server.directory).start()
    with redis.Redis.from_url(own_server.url) as client:
        assert client.ping()


def test_a_taken_port_is_reported_with_the_servers_words(own_server: EmbeddedValkey, tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable, match=r"did not start: .*[Aa]ddress already in use"):
        EmbeddedValkey(tmp_path / "other", own_server.port).start()


def test_a_full_disk_is_named_where_a_server_cannot_even_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at_once = tmp_path / "bin" / "redis-server"
    ends_at_once.parent.mkdir()
    ends_at_once.write_text("#!/bin/sh\nexit 1\n")
    ends_at_once.chmod(0o755)
    monkeypatch.setenv("PATH", str(ends_at_once.parent), prepend=os.pathsep)
    with pytest.raises(QueueUnavailable, match="did not start: it said nothing"):
        EmbeddedValkey(tmp_path / "data").start()
    monkeypatch.setattr(embedded, "ROOM", shutil.disk_usage(tmp_path).free * 2)
    with pytest.raises(
        QueueUnavailable, match=r"did not start: its disk is full \(\d+ KiB free\); make room, or choose"
    ):
        EmbeddedValkey(tmp_path / "data").start()


def test_it_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    story = (
        "import sys, pathlib; from fastflow_ray.queue.embedded import EmbeddedValkey; "
        "print(EmbeddedValkey(pathlib.Path(sys.argv[1])).start().pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", story, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert exists(pid)
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not exists(pid))
