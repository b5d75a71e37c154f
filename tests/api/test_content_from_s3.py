"""Results in S3: the API hands out presigned URLs, and no byte of a video passes through it."""

import uuid
from pathlib import Path

import httpx
import openai
import pytest
from hand_worker import HandWorker
from live_server import serving
from s3_server import BUCKET, boto3_settings

from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.storage import open_store
from orchestration.api.app import open_app

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.fixture
def s3_url(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a real server, and boto3's settings that lead to it."""
    for name, value in boto3_settings(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def test_the_client_follows_to_s3(redis_url: str, s3_url: str, queue: JobQueue, tmp_path: Path):
    worker = HandWorker(queue, open_store(s3_url), tmp_path)
    with (
        serving(open_app(redis_url, s3_url, "sesame")) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="sesame") as client,
    ):
        video = client.videos.create(prompt="a ship")
        worker.finish(worker.claim())
        assert client.videos.download_content(video.id).read() == (tmp_path / "video.mp4").read_bytes()
        answer = httpx.get(f"{url}/v1/videos/{video.id}/content", headers={"Authorization": "Bearer sesame"})
        assert answer.status_code == 307
        assert "X-Amz-Signature" in answer.headers["location"]
        head = httpx.head(answer.request.url, headers={"Authorization": "Bearer sesame"})
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == (tmp_path / "video.mp4").stat().st_size
        client.videos.delete(video.id)
        assert not list(open_store(s3_url).list("jobs/"))
