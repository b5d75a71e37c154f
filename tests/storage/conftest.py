"""A place in a real S3 server, an odd server per test, and results to publish."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from odd_s3_server import OddS3, odd_s3_server
from s3_server import BUCKET, boto3_settings

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import Evaluations, Outcome

SECRET = "this-is-the-secret-key"


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
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh place in the real server's bucket, and the settings that lead to it."""
    for name, value in boto3_settings(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store whose conditional writes can be trusted."""
    url = (tmp_path / "a store").as_uri() if request.param == "folder" else request.getfixturevalue("s3_url")
    with closing(open_store(url)) as store:
        yield store


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
