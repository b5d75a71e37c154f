"""The password in a Redis URL is seen by Redis alone: a worker, the API and the command line run with one, and
then it is looked for wherever anybody may read."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from live_server import serving
from waiting import wait_for

from fastflow_ray.cli import main as command_line
from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.settings import Settings
from orchestration.api.app import open_app
from orchestration.autoscale import Limits
from orchestration.fleet_plan import FleetPlan
from workers.__main__ import main as work

PASSWORD = "hunter2-never-seen"
JOB = VideoJob(prompt="a red circle", model="small", seed=7, acceleration="fastflow")


@pytest.fixture
def guarded_url(own_valkey: EmbeddedValkey) -> str:
    """Of a server that asks for the password."""
    with redis.Redis.from_url(own_valkey.url) as client:
        client.config_set("requirepass", PASSWORD)
    return f"redis://:{PASSWORD}@127.0.0.1:{own_valkey.port}/0"


@pytest.fixture
def environment(
    guarded_url: str, small_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A small model in the catalogue, the server in the settings, and the signal handlers put back afterwards."""
    monkeypatch.setitem(
        catalogue(), "small", ModelCard("small", str(small_checkpoint), 32, 16, 5, 8, 6, 3.0, 3.0, 32, "float32")
    )
    monkeypatch.setenv("FASTFLOW_REDIS_URL", guarded_url)
    monkeypatch.setenv("FASTFLOW_STORE_URL", (tmp_path / "store").as_uri())
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def everything_in(client: Any) -> Iterator[bytes]:
    """Every key with all it holds: jobs, cards, events."""
    for key in client.scan_iter():
        yield key
        yield client.dump(key)  # short texts stand in it as they are
        if client.type(key) == b"hash":
            yield repr(client.hgetall(key)).encode()


@pytest.mark.usefixtures("environment")
def test_the_password_of_a_run_is_nowhere_to_be_read(
    guarded_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    store_url = (tmp_path / "store").as_uri()
    with closing(open_queue(guarded_url, "small")) as queue:
        job_id = queue.submit(JOB).job_id
        with ThreadPoolExecutor(1) as aside:
            cards = aside.submit(wait_for, queue.workers, 60.0)
            assert work(["--model", "small", "--once"]) == 0
        record = queue.get(job_id)
        assert record
        assert record.state is JobState.SUCCEEDED
        with serving(open_app(guarded_url, store_url)) as url:
            answers = [httpx.get(url + path) for path in ("/metrics", "/readyz", f"/v1/videos/{job_id}", "/v1/policy")]
        with pytest.raises(SystemExit):
            command_line(["workers"])
        told = [repr(record), repr(cards.result()), *(answer.text for answer in answers)]
    assert [answer.status_code for answer in answers] == [200] * 4
    seen = capfd.readouterr()
    written = [file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file()]
    with redis.Redis.from_url(guarded_url) as client:
        kept = list(everything_in(client))
    assert len(written) > 1
    assert len(kept) > 10
    for text in (*told, caplog.text, seen.out, seen.err):
        assert PASSWORD not in text
    assert not any(PASSWORD.encode() in data for data in (*written, *kept))
    assert job_id in caplog.text  # the log was listened to


@pytest.mark.usefixtures("environment")
def test_what_is_told_of_a_wrong_password_does_not_show_it(
    guarded_url: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    wrong = guarded_url.replace(PASSWORD, "wrong-never-seen")
    with pytest.raises(SystemExit):
        command_line(["workers", "--redis", wrong])
    with closing(open_queue(wrong, "small")) as queue, pytest.raises(QueueUnavailable) as refused:
        queue.depth()
    seen = capfd.readouterr()
    assert "refuses the password" in seen.err
    assert "wrong-never-seen" not in seen.err + seen.out + caplog.text + str(refused.value)


@pytest.mark.usefixtures("environment")
def test_nothing_that_is_configured_shows_it() -> None:
    settings = Settings.from_environment()
    assert PASSWORD in settings.redis_url
    plan = FleetPlan(("small",), settings.redis_url, settings.store_url, Limits(0, 1))
    for told in (settings, plan, plan.worker("small-worker-0")):
        assert PASSWORD not in repr(told)
        assert PASSWORD not in str(told)
