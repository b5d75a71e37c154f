"""Results in S3: the API hands out presigned URLs, and no byte of a video passes through it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import openai
import pytest
from hand_worker import HandWorker
from live_server import free_port, serving, until

from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.storage import open_store
from orchestration.api.app import open_app

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture
def s3_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket in a server of its own, and boto3's settings that lead to it."""
    endpoint = f"http://127.0.0.1:{(port := free_port())}"
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3", "SFTP_ENABLED": "0"}
    paths = {"TMPDIR": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock", "IOT_MTLS_ENABLED": "0"}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "ministack"]
        server = subprocess.Popen(
            command, env={**os.environ, **settings, **paths}, cwd=tmp_path, stdout=log, stderr=log
        )
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "ENDPOINT_URL_S3": endpoint}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        until(lambda: _listens(endpoint))
        boto3.session.Session().client("s3").create_bucket(Bucket="films")
        yield "s3://films/made"
    finally:
        server.terminate()
        server.wait()


def test_the_client_follows_to_s3(redis_url: str, s3_url: str, queue: JobQueue, tmp_path: Path):
    worker = HandWorker(queue, open_store(s3_url), tmp_path)
    with serving(open_app(redis_url, s3_url, "sesame")) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="sesame")
        video = client.videos.create(prompt="a ship")
        worker.finish(worker.claim())
        assert client.videos.download_content(video.id).read() == (tmp_path / "video.mp4").read_bytes()
        answer = httpx.get(f"{url}/v1/videos/{video.id}/content", headers={"Authorization": "Bearer sesame"})
        assert answer.status_code == 307
        assert "X-Amz-Signature" in answer.headers["location"]
        client.videos.delete(video.id)
        assert not list(open_store(s3_url).list("jobs/"))
        client.close()


def _listens(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint).status_code > 0
    except httpx.TransportError:
        return False
