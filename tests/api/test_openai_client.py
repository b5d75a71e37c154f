"""The real openai package against a real server: what it can do with us, end to end."""

import time
from pathlib import Path

import openai
import pytest
from hand_worker import HandWorker

from fastflow_ray.jobs.states import JobState
from fastflow_ray.media.video import read_video
from fastflow_ray.queue.contract import Progress, Verdict
from fastflow_ray.storage.checkpoints import CheckpointRoom
from fastflow_ray.storage.contract import Store

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


def test_create_poll_and_download(client: openai.OpenAI, worker: HandWorker, tmp_path: Path):
    working = worker.work_off_one()
    video = client.videos.create_and_poll(prompt="a red circle", model="shapes", seconds="4", size="64x64")
    working.join()
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert (video.model, video.size, video.seconds, video.prompt) == ("shapes", "64x64", "4", "a red circle")
    assert video.created_at <= video.completed_at <= time.time() + 1
    assert video.expires_at == video.completed_at + 86_400
    client.videos.download_content(video.id).write_to_file(tmp_path / "fetched.mp4")
    assert read_video(tmp_path / "fetched.mp4").shape == (5, 64, 64, 3)
    assert client.videos.download_content(video.id, variant="thumbnail").read().startswith(b"\x89PNG")


def test_the_answer_says_what_acceleration_really_did(client: openai.OpenAI, worker: HandWorker):
    video = client.videos.create(prompt="a red circle", extra_body={"audit": True, "speedup": 2.6})
    worker.finish(worker.claim())
    assert client.videos.retrieve(video.id).acceleration == {
        "mode": "auto",
        "pace": {"speedup": 2.6},
        "planned": 19,
        "added": 1,
        "made": 20,
        "skipped": 30,
        "nfe": 40,
        "baseline_nfe": 100,
        "expected_fidelity_db": 50.5,
        "snapshot": "3f2a",
        "audit": {"psnr_db": 52.5, "ssim": 0.99, "full_nfe": 100, "full_sample_s": 2.5, "nfe": 0},
    }


def test_extra_fields_arrive_and_unknown_ones_are_named(client: openai.OpenAI):
    video = client.videos.create(
        prompt="a red circle", extra_body={"num_inference_steps": 12, "seed": 9, "extra_body": {"fps": 16}, "lora": "x"}
    )
    assert (video.request["steps"], video.request["seed"], video.request["fps"]) == (12, 9, 16)
    assert video.warnings == ["unknown field 'lora' is ignored"]


def test_a_running_video_shows_its_steps(client: openai.OpenAI, worker: HandWorker):
    video = client.videos.create(prompt="a red circle")
    assert (video.status, video.progress) == ("queued", 0)
    claim = worker.claim()
    worker.queue.heartbeat(claim, Progress("sample", step=10, steps=50, evaluated=4, skipped=6, eta_s=40.0))
    answer = client.videos.with_raw_response.retrieve(video.id)
    assert answer.headers["openai-poll-after-ms"] == "1000"  # 40 s for 40 steps
    video = answer.parse()
    assert (video.status, video.progress, video.phase) == ("in_progress", 20, "sample")


def test_a_failed_video_is_an_answer_and_no_error(client: openai.OpenAI, worker: HandWorker):
    video = client.videos.create(prompt="a red circle")
    worker.queue.fail(worker.claim(), "invalid_output", "the model produced NaN", retryable=False)
    polled = client.videos.poll(video.id)
    assert (polled.status, polled.error.code) == ("failed", "invalid_output")
    assert polled.error.message == "the model produced NaN"
    with pytest.raises(openai.NotFoundError) as refused:
        client.videos.download_content(video.id)
    assert refused.value.code == "no_content"


def test_listing_walks_through_all_pages(client: openai.OpenAI):
    ids = [client.videos.create(prompt=f"number {n}").id for n in range(5)]
    ids.insert(3, client.videos.create(prompt="another queue", model="wan2.1-t2v-1.3b").id)
    times = {video.id: video.created_at for video in client.videos.list(limit=2)}
    assert sorted(times) == sorted(ids)
    assert list(times.values()) == sorted(times.values(), reverse=True)
    assert [video.id for video in client.videos.list(limit=4, order="asc")] == list(times)[::-1]


def test_deleting_a_running_video_stops_the_work(client: openai.OpenAI, worker: HandWorker):
    video = client.videos.create(prompt="a red circle")
    claim = worker.claim()
    deleted = client.videos.delete(video.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (video.id, True, "video.deleted")
    assert worker.queue.heartbeat(claim) is Verdict.CANCEL
    assert worker.queue.fail(claim, "cancelled", "stopped", retryable=False) is JobState.CANCELLED
    video = client.videos.retrieve(video.id)
    assert (video.status, video.error.code) == ("failed", "cancelled")


def test_deleting_a_finished_video_leaves_neither_row_nor_file(client: openai.OpenAI, worker: HandWorker, store: Store):
    video = client.videos.create(prompt="a red circle")
    worker.finish(worker.claim())
    assert list(store.list(f"jobs/{video.id}/"))
    client.videos.delete(video.id)
    assert not list(store.list(f"jobs/{video.id}/"))
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(video.id)


def test_deleting_a_video_that_waits_half_made_leaves_no_checkpoint(
    client: openai.OpenAI, worker: HandWorker, store: Store
):
    video = client.videos.create(prompt="a red circle")
    claim = worker.claim()
    room = CheckpointRoom(store, worker.queue.name)
    room.put(video.id, claim.fence, b"half of it")
    assert worker.queue.release(claim)
    client.videos.delete(video.id)
    assert room.job_ids() == set()


def test_what_is_not_served_is_refused_clearly(client: openai.OpenAI):
    video = client.videos.create(prompt="a red circle")
    with pytest.raises(openai.NotFoundError, match="makes videos from text only") as refused:
        client.videos.remix(video.id, prompt="a blue one")
    assert refused.value.code == "not_supported"
    with pytest.raises(openai.BadRequestError, match="no model here starts from an image") as refused:
        client.videos.create(prompt="a red circle", input_reference=("a.png", b"\x89PNG", "image/png"))
    assert refused.value.param == "input_reference"


def test_models_are_listed(client: openai.OpenAI):
    assert "shapes" in [model.id for model in client.models.list()]


def test_a_model_is_looked_up_by_its_name(client: openai.OpenAI):
    listed = {model.id: model for model in client.models.list()}
    assert client.models.retrieve("shapes") == listed["shapes"]
    with pytest.raises(
        openai.NotFoundError, match="no model named 'sora-2'; there are: hunyuanvideo, shapes"
    ) as refused:
        client.models.retrieve("sora-2")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
