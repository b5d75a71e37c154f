"""The embedded server of a local fleet comes back by itself."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
from leaks import ClosedAfter
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.connection import Connection
from orchestration import kept_valkey
from orchestration.kept_valkey import KeptValkey


def test_a_killed_server_comes_back_where_it_was_with_what_it_had(
    tmp_path: Path, model: str, closed_after: ClosedAfter
) -> None:
    with KeptValkey(tmp_path) as server:
        url, first = server.url, process_at(server.url)
        queue = closed_after(open_queue(url, model))
        job_id = queue.submit(VideoJob(prompt="a red circle", model=model)).job_id
        os.kill(first, signal.SIGKILL)
        second = process_at(url)
        assert second != first
        assert server.url == url
        record = queue.get(job_id)
        assert record is not None
        assert record.job_id == job_id
    assert not Path(f"/proc/{second}").exists()


def test_a_look_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listens, troubles = kept_valkey._listens, iter([OSError(errno.EMFILE, "Too many open files")])

    def look(port: int) -> bool:
        for trouble in troubles:
            raise trouble
        return listens(port)

    monkeypatch.setattr(kept_valkey, "_listens", look)
    with KeptValkey(tmp_path) as server:
        first = process_at(server.url)
        wait_for(lambda: "Too many open files" in caplog.text)
        os.kill(first, signal.SIGKILL)
        assert process_at(server.url) != first


def process_at(url: str) -> int:
    """The process id of the server, as soon as it answers."""

    def answered() -> int | None:
        with closing(Connection(url)) as connection:
            try:
                return int(connection.ask(lambda client: client.info("server"))["process_id"])
            except QueueUnavailable:
                return None

    return wait_for(answered) or 0
