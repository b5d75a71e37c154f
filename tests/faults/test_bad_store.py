"""Fault 9: S3 refuses, hangs up, stalls, and holds other bytes than it was given."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from checker import Violation
from crew import Crew
from http_proxy import HttpProxy
from s3_server import BUCKET, boto3_settings
from stage import Stage
from waiting import wait_for

from fastflow_ray.errors import StorageFailed
from fastflow_ray.jobs.retry import RetryPolicy
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.worker_card import RESTING
from fastflow_ray.storage import open_store

BAD = {"500": 0.05, "503": 0.05, "reset before": 0.01, "reset after": 0.01, "flipped upload": 0.02}
SOON = RetryPolicy(base_s=0.2, cap_s=1.0)


@pytest.fixture
def s3_stage(
    make_stage: Callable[..., Stage], own_server: EmbeddedValkey, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    """A stage whose judge sees the store as it is, while its workers come through a proxy."""
    for name, value in boto3_settings(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    limits = {"max_crashes": 1_000, "retry": SOON}
    return make_stage(own_server.url, store_url=f"s3://{BUCKET}/{uuid.uuid4().hex}", limits=limits)


@contextmanager
def proxy_of(endpoint: str, stage: Stage, faults: dict[str, float], stall_s: float = 60.0) -> Iterator[HttpProxy]:
    with HttpProxy(urlsplit(endpoint).port or 0, stage.seed, faults, stall_s) as proxy:
        yield proxy


def publish_through(stage: Stage, proxy: HttpProxy, jobs: int, verifies: bool = True) -> list[Violation]:
    """Jobs of a crew that reaches its store by the proxy."""
    stage.submit(jobs, max_attempts=10)
    plan = stage.plan(step_s=0.01, verifies=verifies, environment=boto3_settings(proxy.endpoint))
    with Crew(plan, size=4):
        stage.settle(timeout_s=400)
    stage.figures["struck"] = dict(proxy.struck)
    return stage.judge()


def all_rest(queue: JobQueue) -> bool:
    """Whether nobody takes a job."""
    states = {card.state for card in queue.workers()}
    return states == {RESTING} and queue.depth().running == 0


def ends_of(stage: Stage) -> dict[str, int]:
    """State → how many jobs."""
    depth = stage.queue.depth()
    return {"succeeded": depth.succeeded, "dead": depth.dead}


@pytest.mark.fault
def test_what_is_published_is_what_was_made(s3_stage: Stage, s3_endpoint: str) -> None:
    with proxy_of(s3_endpoint, s3_stage, BAD) as proxy:
        assert publish_through(s3_stage, proxy, jobs=100) == []
    assert set(proxy.struck) == set(BAD)
    s3_stage.figures["ends"] = ends_of(s3_stage)
    assert ends_of(s3_stage) == {"succeeded": 100, "dead": 0}


@pytest.mark.fault
def test_a_store_that_stalls_for_a_minute_holds_up_and_loses_nothing(s3_stage: Stage, s3_endpoint: str) -> None:
    with proxy_of(s3_endpoint, s3_stage, {"stall": 0.02}) as proxy:
        assert publish_through(s3_stage, proxy, jobs=20) == []
    assert proxy.struck["stall"] > 0
    assert ends_of(s3_stage) == {"succeeded": 20, "dead": 0}


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["503", "403", "reset before"])
def test_a_store_that_serves_nobody_costs_no_job_an_attempt(s3_stage: Stage, s3_endpoint: str, fault: str) -> None:
    """Full, shut, or gone: each job has a single attempt, and all that was begun meanwhile was given back."""
    with proxy_of(s3_endpoint, s3_stage, {}) as proxy:
        ids = s3_stage.submit(40, max_attempts=1)
        with Crew(s3_stage.plan(environment=boto3_settings(proxy.endpoint)), size=2):
            wait_for(lambda: s3_stage.queue.depth().succeeded > 0)
            proxy.faults = {fault: 1.0}
            wait_for(lambda: all_rest(s3_stage.queue), timeout_s=200)
            proxy.faults = {}
            s3_stage.settle(timeout_s=200)
    s3_stage.figures["struck"] = dict(proxy.struck)
    assert s3_stage.judge() == []
    assert ends_of(s3_stage) == {"succeeded": 40, "dead": 0}
    assert {record.attempts for record in map(s3_stage.queue.get, ids) if record} == {1}


@pytest.mark.fault
def test_control_without_reading_back_corrupted_uploads_are_published(s3_stage: Stage, s3_endpoint: str) -> None:
    with proxy_of(s3_endpoint, s3_stage, {"flipped upload": 0.2}) as proxy:
        found = publish_through(s3_stage, proxy, jobs=20, verifies=False)
    assert proxy.struck["flipped upload"] > 0
    assert "I8" in {violation.invariant for violation in found}


@pytest.mark.fault
def test_no_parts_of_an_upload_are_left_when_it_is_cleared_up(
    s3_stage: Stage, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of 20 MB go up in parts; what fails between them leaves nothing once its prefix was deleted."""
    film = tmp_path / "film.mp4"
    film.write_bytes(s3_stage.rng.randbytes(20 * 2**20))
    with proxy_of(s3_endpoint, s3_stage, {"500": 0.45}) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        store = s3_stage.keep(open_store(s3_stage.store_url))
        failures = [number for number in range(12) if not _put(store, f"jobs/{number}/film.mp4", film)]
        proxy.faults = {}
        store.delete_prefix("jobs/")
    s3_stage.figures["struck"] = dict(proxy.struck) | {"failed uploads": len(failures)}
    assert failures
    client = s3_stage.keep(boto3.session.Session().client("s3", endpoint_url=s3_endpoint))
    prefix = urlsplit(s3_stage.store_url).path.strip("/")
    assert client.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix).get("Uploads", []) == []


def _put(store: object, key: str, path: Path) -> bool:
    try:
        store.put_file(key, path, "video/mp4")  # type: ignore[attr-defined]
    except StorageFailed:
        return False
    return True
