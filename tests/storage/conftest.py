"""A real S3 server for the whole session, an odd one per test, and results to publish."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import boto3
import pytest
from odd_s3_server import OddS3, odd_s3_server

from fastflow_ray.jobs.video_job import Acceleration
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import Evaluations, Outcome

BUCKET = "films"
SECRET = "this-is-the-secret-key"
START_DEADLINE_S = 30.0


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a ministack server that serves only S3 and keeps nothing on the disk."""
    home = tmp_path_factory.mktemp("ministack")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "s3",
        "S3_PERSIST": "0",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",
        "TMPDIR": str(home),
        "LOG_LEVEL": "WARNING",
        "AWS_SECRET_ACCESS_KEY": "test",  # what presigned links are checked against
    }
    with (home / "log").open("wb") as log:
        command = [sys.executable, "-m", "ministack"]
        server = subprocess.Popen(command, env={**os.environ, **settings}, cwd=home, stdout=log, stderr=log)
    try:
        # By name, not by number: for an address boto3 would put the bucket into the path anyway.
        endpoint = f"http://localhost:{port}"
        _wait_until_it_answers(f"http://127.0.0.1:{port}/", server, home / "log")
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        boto3.session.Session(**keys).client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + START_DEADLINE_S
    while monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            continue
    raise AssertionError(f"ministack did not start:\n{log.read_text()}")


@pytest.fixture(autouse=True)
def aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of nobody's machine, so that no test speaks to a real bucket."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[OddS3]:
    """A server with faults, and the settings that lead to it."""
    with odd_s3_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
        yield server


@pytest.fixture
def s3_url(ministack: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh place in the real server's bucket, and the settings that lead to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ministack)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store whose conditional writes can be trusted."""
    if request.param == "folder":
        return open_store((tmp_path / "a store").as_uri())
    return open_store(request.getfixturevalue("s3_url"))


@pytest.fixture
def make_outcome() -> Callable[..., Outcome]:
    """What attempt number `fence` of a job made."""

    def make(fence: int = 1, job_id: str = "job-1", **changes: object) -> Outcome:
        values: dict[str, object] = {
            "job_id": job_id,
            "payload_sha256": "0" * 64,
            "fence": fence,
            "attempt": 1,
            "worker": f"worker-{fence}",
            "model": "shapes",
            "revision": "1",
            "prompt": "a small red circle moving left on a navy background",
            "negative_prompt": "",
            "width": 64,
            "height": 64,
            "frames": 17,
            "fps": 8,
            "steps": 4,
            "guidance": 3.0,
            "shift": 3.0,
            "seed": 7,
            "acceleration": Acceleration.FASTFLOW,
            "evaluations": Evaluations(planned=2, made=2, skipped=2, nfe=4, baseline_nfe=8),
            "evaluated_steps": (0, 2),
            "phase_s": {"sample": 1.5},
            "versions": {"fastflow_ray": "0.1.0"},
            "created_s": 1_700_000_000.0,
        }
        return Outcome.model_validate(values | changes)

    return make


@pytest.fixture
def make_files(tmp_path: Path) -> Callable[..., dict[str, tuple[Path, str]]]:
    """A video and a thumbnail on this machine; their bytes differ from attempt to attempt."""

    def make(fence: int = 1) -> dict[str, tuple[Path, str]]:
        video, thumbnail = tmp_path / f"{fence}.mp4", tmp_path / f"{fence}.png"
        video.write_bytes(f"video of attempt {fence}".encode() * 100)
        thumbnail.write_bytes(f"thumbnail of attempt {fence}".encode())
        return {"video": (video, "video/mp4"), "thumbnail": (thumbnail, "image/png")}

    return make
