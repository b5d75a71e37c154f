"""Alive is not ready: what the probes say when Redis or the store is gone, and that nothing else stops for it."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis
from live_server import DEADLINE_S, serving
from s3_server import boto3_settings
from waiting import wait_for

from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.api.app import open_app

NOBODY = "redis://:secret@127.0.0.1:1/0"


def test_ready_means_that_redis_and_the_store_were_tried(http: httpx.Client):
    answer = http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"queue": True, "store": True})


def test_a_redis_that_dies_makes_it_unready_but_holds_nothing_up(tmp_path: Path, store_url: str):
    with EmbeddedValkey(tmp_path / "own") as own, serving(open_app(own.url, store_url)) as url:
        assert httpx.get(f"{url}/readyz").status_code == 200
        own.stop()
        with ThreadPoolExecutor() as others:
            ready = others.submit(httpx.get, f"{url}/readyz", timeout=DEADLINE_S)
            assert httpx.get(f"{url}/healthz").status_code == 200
            assert not ready.done()  # it still hopes for Redis to come back
            answer = ready.result()
        assert (answer.status_code, answer.json()) == (503, {"queue": False, "store": True})


def test_a_store_that_cannot_be_written_makes_it_unready(redis_url: str, tmp_path: Path):
    (tmp_path / "file").touch()
    with serving(open_app(redis_url, (tmp_path / "file" / "store").as_uri())) as url:
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.json()) == (503, {"queue": True, "store": False})


def test_probes_of_a_store_that_never_answers_hold_nothing_up(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kubernetes asks every few seconds, however many questions are open."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        for name, value in boto3_settings(f"http://127.0.0.1:{silent.getsockname()[1]}").items():
            monkeypatch.setenv(name, value)
        with serving(open_app(redis_url, "s3://bucket/videos")) as url, ThreadPoolExecutor(60) as probes:
            asked = [probes.submit(httpx.get, f"{url}/readyz", timeout=DEADLINE_S) for _ in range(60)]
            assert {answer.result().status_code for answer in asked} == {503}
            assert httpx.get(f"{url}/v1/videos", timeout=DEADLINE_S).status_code == 200
            wait_for(lambda: httpx.get(f"{url}/readyz", timeout=DEADLINE_S).json() == {"queue": True, "store": False})
            silent.close()  # or the question under way would wait for its answer


def test_a_server_says_at_its_start_what_it_will_miss(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    with serving(open_app(NOBODY, (tmp_path / "file" / "store").as_uri())) as url:
        assert httpx.get(f"{url}/healthz").status_code == 200
    told = [record.getMessage() for record in caplog.records if record.name == "orchestration.api.app"]
    assert len(told) == 2
    assert "127.0.0.1:1" in told[0]
    assert "store" in told[1]
    assert "secret" not in caplog.text


def test_without_redis_requests_are_told_so_and_no_address(store_url: str):
    with serving(open_app(NOBODY, store_url)) as url:
        for answer in (httpx.get(f"{url}/v1/videos"), httpx.post(f"{url}/v1/videos", json={"prompt": "a ship"})):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "queue_unavailable"
            assert "127.0.0.1" not in answer.text
            assert "secret" not in answer.text


def test_a_server_that_stops_leaves_no_connection_at_redis(tmp_path: Path, store_url: str):
    with EmbeddedValkey(tmp_path / "own") as own, redis.Redis.from_url(own.url) as watcher:
        with serving(open_app(own.url, store_url)) as url:
            for path in ("/readyz", "/v1/policy"):  # one asks the queues, the other the statistics
                assert httpx.get(f"{url}{path}").status_code == 200
            assert len(watcher.client_list()) > 1
        wait_for(lambda: len(watcher.client_list()) == 1)
