"""A fleet whose results go to S3, through a real server: what a client fetches is what a worker published."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from s3_server import BUCKET
from waiting import RAY_S, wait_for

from fastflow_ray.client import Client
from fastflow_ray.environment import MODELS
from fastflow_ray.media.video import read_video
from fastflow_ray.models.catalogue import own_cards
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.storage import open_store
from fastflow_ray.storage.seal import unsealed
from orchestration.fleet import Fleet
from orchestration.fleet_plan import FleetPlan

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("ray_cluster")]
STEPS = 6


@pytest.fixture
def fleet_plan(
    plan: Callable[..., FleetPlan], small_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FleetPlan:
    """Of one worker that publishes to S3 and makes a model of its operator's own; its file is known to this process."""
    (tmp_path / "models.toml").write_text(
        f'[ours]\nsource = "{small_checkpoint}"\nlike = "shapes"\n'
        f"width = 32\nheight = 16\nframes = 5\nsteps = {STEPS}\nmax_sequence_length = 32\n"
    )
    monkeypatch.setenv(MODELS, str(tmp_path / "models.toml"))
    its = plan(floor=1, ceiling=1, store_url=f"s3://{BUCKET}/{uuid.uuid4().hex}")
    return replace(its, models=("ours",), own=own_cards(["ours"]))


def fetched(url: str) -> bytes:
    """What anybody gets who holds the link and nothing else."""
    return httpx.get(url, timeout=30.0).raise_for_status().content


def test_a_worker_publishes_to_s3_and_a_client_fetches_by_a_presigned_url(
    fleet_plan: FleetPlan, tmp_path: Path
) -> None:
    fleet, store = Fleet(fleet_plan), open_store(fleet_plan.store_url)
    with closing(Client(fleet_plan.redis_url, fleet_plan.store_url)) as client:
        job = client.submit("a red circle", model="ours", seed=7, acceleration="fastflow")
        record = wait_for(lambda: ended(job.status()), RAY_S)
        assert record.result is not None, record.error
        files = record.result["files"]
        published = {file["key"]: file["sha256"] for file in files.values()}
        assert set(store.list(f"jobs/{job.id}/")) == {*published, f"jobs/{job.id}/result.json"}
        for key, digest in published.items():
            link = store.link(key)
            assert link.startswith("http://localhost:")
            assert "X-Amz-Signature=" in link
            assert sha256(fetched(link)).hexdigest() == digest
        assert unsealed(fetched(store.link(f"jobs/{job.id}/result.json"))) == record.result
        video = job.download(tmp_path / "video.mp4")
    assert sha256(video.read_bytes()).hexdigest() == files["video"]["sha256"]
    assert read_video(video).shape == (5, 16, 32, 3)
    assert fleet.dissolve()


def ended(record: JobRecord) -> JobRecord | None:
    return record if record.finished_s is not None else None
