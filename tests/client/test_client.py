"""The client by both of its ways, against a real Valkey, a real store and the real HTTP API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import redis
from leaks import ClosedAfter
from live_server import free_port, serving
from scripted_fleet import THUMBNAIL, VIDEO, Fleet
from waiting import wait_for

from fastflow_ray.client import Client, Job
from fastflow_ray.environment import MODELS
from fastflow_ray.errors import (
    DeadlineTooTight,
    IdempotencyConflict,
    InvalidInput,
    JobCancelled,
    JobFailed,
    QueueUnavailable,
    StorageFailed,
    UnknownJob,
    UnknownModel,
)
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.catalogue import BUILT_IN
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Progress
from fastflow_ray.transports import over_http
from fastflow_ray.transports.over_http import OverHttp
from orchestration.api.app import open_app

NOBODY = "redis://127.0.0.1:1/0"  # where no server listens


def test_six_lines_from_a_prompt_to_a_file(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    job = client.submit("a small red circle", steps=10, seed=7)
    fleet.work()
    record = job.wait(timeout_s=20, poll_s=0.01)
    path = job.download(tmp_path / "circle.mp4")
    assert path.read_bytes() == VIDEO
    assert record.result is not None
    assert record.result["seed"] == 7
    assert job.download(tmp_path / "circle.png", "thumbnail").read_bytes() == THUMBNAIL
    assert sorted(file.name for file in tmp_path.glob("*circle*")) == ["circle.mp4", "circle.png"]


def test_the_record_of_a_job_shows_what_was_asked_and_the_seed_that_was_drawn(client: Client) -> None:
    record = client.submit("a circle", negative_prompt="blur", width=64, audit=True, tenant="ann").status()
    job = read_job(record.payload)
    assert (job.prompt, job.negative_prompt, job.width, job.audit, job.tenant) == ("a circle", "blur", 64, True, "ann")
    assert job.seed is not None
    assert (record.state, record.tenant, record.attempts) == (JobState.QUEUED, "ann", 0)


def test_tenants_share_by_the_work_they_ask_for(fleet: Fleet, client: Client) -> None:
    for _ in range(6):
        client.submit("a circle", tenant="long", frames=49)
        client.submit("a circle", tenant="short")
    served = [fleet.queue.get(fleet.claim().job_id) for _ in range(8)]
    assert [record.tenant for record in served if record].count("long") == 2


def test_a_job_that_would_come_too_late_is_refused_with_a_time_to_ask_again(fleet: Fleet, client: Client) -> None:
    for _ in range(3):
        client.submit("a circle")
    fleet.claim()
    with redis.Redis.from_url(fleet.redis_url) as everything:
        everything.hset("ff:{shapes}:stat", "attempt_ms", 60_000)  # as if attempts had taken a minute
    with pytest.raises(DeadlineTooTight, match="would wait about 120 s, and its deadline is 100 s") as refused:
        client.submit("a circle", deadline_s=100)
    assert (refused.value.retry_after_s, refused.value.code) == (20.0, "deadline")
    assert client.submit("a circle", deadline_s=200).status().state is JobState.QUEUED


def test_every_change_is_seen_once_and_the_end_is_the_last(fleet: Fleet, client: Client) -> None:
    job = client.submit("a circle")
    looks = job.watch(poll_s=0.001)
    assert next(looks).state is JobState.QUEUED
    claim, queue = fleet.claim(), fleet.queue
    queue.heartbeat(claim, Progress("sample", 3, 10, 2, 1, eta_s=1.5))
    running = next(looks)
    assert (running.state, running.attempts) == (JobState.RUNNING, 1)
    assert running.progress == Progress("sample", 3, 10, 2, 1, eta_s=1.5)
    fleet.finish(claim)
    assert [look.state for look in looks] == [JobState.SUCCEEDED]
    assert [look.state for look in job] == [JobState.SUCCEEDED]


def test_a_key_makes_submitting_repeatable_even_with_an_open_seed(client: Client) -> None:
    first = client.submit("a circle", idempotency_key="monday")
    assert client.submit("a circle", idempotency_key="monday").id == first.id
    assert client.submit("a circle").id != first.id
    with pytest.raises(IdempotencyConflict):
        client.submit("a square", idempotency_key="monday")


def test_a_key_may_be_in_any_script(client: Client) -> None:
    first, again = (client.submit("a circle", idempotency_key="月曜日") for _ in range(2))
    assert first.id == again.id


@pytest.mark.parametrize("key", [" monday", "mon\nday", "monday\ud800"])
def test_a_key_that_no_header_holds_is_a_mistake_and_not_an_absent_fleet(
    serve_api: Callable[[str | None], str], key: str
) -> None:
    with Client(serve_api(None)) as client, pytest.raises(InvalidInput, match="the idempotency key has a space"):
        client.submit("a circle", idempotency_key=key)


def test_a_key_names_one_job_of_all_models(client: Client) -> None:
    client.submit("a circle", idempotency_key="monday")
    with pytest.raises(IdempotencyConflict):
        client.submit("a circle", model="hunyuanvideo", idempotency_key="monday")
    assert len(client.jobs()) == 1


def test_the_record_is_the_same_by_both_ways(fleet: Fleet, client: Client) -> None:
    queue, job = fleet.queue, client.submit("a circle", steps=10)
    lost = queue.claim("worker-9", lease_s=0.001)
    assert lost is not None
    (expired,) = wait_for(queue.expired)
    assert queue.requeue(expired)
    assert job.status() == queue.get(job.id)
    fleet.work()
    record = queue.get(job.id)
    assert record is not None
    assert (record.attempts, record.crashes) == (2, 1)
    assert replace(job.status(), progress=record.progress) == record


def test_waiting_has_a_limit_and_the_job_goes_on(client: Client) -> None:
    job = client.submit("a circle")
    with pytest.raises(TimeoutError, match=f"{job.id} is still queued after 0.05 s"):
        job.wait(timeout_s=0.05, poll_s=0.01)
    assert job.status().state is JobState.QUEUED


def test_who_waits_over_http_outlasts_an_api_that_is_replaced(fleet: Fleet) -> None:
    port, states, seen = free_port(), [], threading.Event()

    def follow(job: Job) -> None:
        for record in job.watch(poll_s=0.01):
            states.append(record.state)
            seen.set()

    with ExitStack() as leaving:
        with serving(open_app(fleet.redis_url, fleet.store_url), port=port) as url:
            client = leaving.enter_context(Client(url))
            job = client.submit("a circle")
            following = threading.Thread(target=follow, args=[job])
            following.start()
            assert seen.wait(20)
        fleet.work()
        with pytest.raises(QueueUnavailable, match="cannot be reached"):
            client.job(job.id).wait()  # whoever never had an answer is told at once
        with serving(open_app(fleet.redis_url, fleet.store_url), port=port):
            following.join(20)
    assert states == [JobState.QUEUED, JobState.SUCCEEDED]


def test_who_waits_for_a_fleet_that_stays_away_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastflow_ray.patience.PATIENCE_S", 0.2)
    with ExitStack() as leaving:
        with serving(open_app(fleet.redis_url, fleet.store_url)) as url:
            job = leaving.enter_context(Client(url)).submit("a circle")
            looks = job.watch(poll_s=0.01)
            assert next(looks).state is JobState.QUEUED
        with pytest.raises(QueueUnavailable, match="cannot be reached"):
            next(looks)


def test_a_listing_over_http_goes_on_though_records_go_while_it_is_read(
    fleet: Fleet, serve_api: Callable[[str | None], str], closed_after: ClosedAfter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_http, "PAGE", 2)
    transport = closed_after(OverHttp(serve_api(None), None))
    jobs = [transport.submit(VideoJob(prompt="a circle"), None) for _ in range(5)]
    listing = transport.records()
    first, second = next(listing), next(listing)
    assert fleet.queue.cancel(second.job_id) is JobState.CANCELLED
    assert fleet.queue.forget(second.job_id)
    assert [record.job_id for record in (first, second, *listing)] == [job.job_id for job in jobs[::-1]]


def test_a_failed_job_says_why(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    job = client.submit("a circle")
    fleet.queue.fail(fleet.claim(), "oom", "out of memory; use a smaller size", False)
    with pytest.raises(JobFailed, match="attempt 1: out of memory; use a smaller size") as failed:
        job.wait(timeout_s=20)
    assert failed.value.code == "oom"
    with pytest.raises(JobFailed):
        job.download(tmp_path / "circle.mp4")
    assert list(tmp_path.glob("*circle*")) == []


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_at_its_next_step(fleet: Fleet, client: Client) -> None:
    waiting = client.submit("a circle")
    assert waiting.cancel() is JobState.CANCELLED
    with pytest.raises(JobCancelled, match=waiting.id):
        waiting.wait()
    running = client.submit("a square")
    fleet.claim()
    assert running.cancel() is JobState.RUNNING
    assert running.status().cancel_requested


def test_jobs_of_all_models_are_listed_newest_first(client: Client) -> None:
    ids = [client.submit("a circle", model=model).id for model in ("shapes", "hunyuanvideo", "shapes")]
    client.job(ids[0]).cancel()
    listed = [record.job_id for record in client.jobs()]
    assert sorted(listed) == sorted(ids)
    assert listed.index(ids[2]) < listed.index(ids[0])
    assert len(client.jobs(limit=2)) == 2
    assert [record.job_id for record in client.jobs(state=JobState.CANCELLED)] == [ids[0]]


def test_a_listing_goes_on_beyond_a_page(client: Client) -> None:
    ids = {client.submit("a circle").id for _ in range(105)}
    assert {record.job_id for record in client.jobs(limit=1000)} == ids


def test_ids_of_no_job_are_refused(client: Client) -> None:
    for job_id in ("f" * 32, "", "../../etc/passwd", "x" * 10_000):
        with pytest.raises(UnknownJob) as unknown:
            client.job(job_id).status()
        assert len(str(unknown.value)) < 300
    with pytest.raises(UnknownJob):
        client.job("f" * 32).cancel()


def test_there_is_nothing_to_fetch_before_the_end(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is queued, there is no video yet; wait for it first"):
        client.submit("a circle").download(tmp_path / "circle.mp4")


def test_a_file_that_the_job_does_not_have(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    job = client.submit("a circle")
    fleet.work()
    with pytest.raises(InvalidInput, match="no spritesheet; it has: thumbnail, video"):
        job.download(tmp_path / "sheet.png", "spritesheet")


def test_a_file_damaged_in_the_store_never_reaches_its_name(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    job = client.submit("a circle")
    fleet.work()
    (video,) = tmp_path.glob("store/jobs/*/*/video.mp4")
    video.write_bytes(VIDEO[:-1] + b"X")
    out = tmp_path / "circle.mp4"
    out.write_bytes(b"an older video")
    with pytest.raises(StorageFailed, match="arrived damaged"):
        job.download(out)
    assert out.read_bytes() == b"an older video"
    assert list(tmp_path.glob(".*")) == []


def test_a_file_gone_from_the_store(fleet: Fleet, client: Client, tmp_path: Path) -> None:
    job = client.submit("a circle")
    fleet.work()
    (video,) = tmp_path.glob("store/jobs/*/*/video.mp4")
    video.unlink()
    with pytest.raises(StorageFailed, match=job.id):
        job.download(tmp_path / "circle.mp4")


def test_a_refused_field_names_itself(client: Client) -> None:
    with pytest.raises(InvalidInput, match="16 frames cannot be decoded; use 4k\\+1, such as 13 or 17"):
        client.submit("a circle", frames=16)


def test_an_unknown_model_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UnknownModel, match="no model named 'sora'; there are: hunyuanvideo, shapes"):
        Client(NOBODY).submit("a circle", model="sora")


@pytest.fixture
def models_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's, with one model."""
    file = tmp_path / "models.toml"
    file.write_text('[ours]\nsource = "/models/ours"\nlike = "shapes"\nsteps = 25\n')
    monkeypatch.setenv(MODELS, str(file))
    return file


def test_a_client_of_redis_knows_the_fleets_own_models_by_their_file(
    fleet: Fleet, models_file: Path, monkeypatch: pytest.MonkeyPatch, closed_after: ClosedAfter
) -> None:
    job = closed_after(Client(fleet.redis_url)).submit("a circle", model="ours")
    with closing(open_queue(fleet.redis_url, "ours")) as queue:
        assert queue.get(job.id) is not None
    monkeypatch.delenv(MODELS)
    with pytest.raises(UnknownModel, match=r"no model named 'ours'; .*; a file that FASTFLOW_MODELS names may add mo"):
        closed_after(Client(fleet.redis_url)).submit("a circle", model="ours")


def test_a_client_of_the_api_needs_no_file(
    fleet: Fleet, serve_api: Callable[[str | None], str], models_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve_api(None)
    with Client(url) as client:
        job = client.submit("a circle", model="ours")
        listed = httpx.get(f"{url}/v1/models", timeout=10).json()["data"]
        assert [one["id"] for one in listed] == [*BUILT_IN, "ours"]
        assert listed[-1]["defaults"] == {**listed[0]["defaults"], "num_inference_steps": 25}
        assert httpx.get(f"{url}/v1/videos/{job.id}", timeout=10).json()["model"] == "ours"
        with pytest.raises(InvalidInput) as refused:
            client.submit("a circle", model="sora")
    assert str(refused.value).endswith("there are: " + ", ".join(sorted([*BUILT_IN, "ours"]))), "who asks can add none"
    with closing(open_queue(fleet.redis_url, "ours")) as queue:
        assert queue.get(job.id) is not None


def test_the_api_refuses_an_unknown_model_too(serve_api: Callable[[str | None], str]) -> None:
    with Client(serve_api(None)) as client, pytest.raises(InvalidInput, match="no model named 'sora'; there are"):
        client.submit("a circle", model="sora")


@pytest.mark.parametrize("url", [NOBODY, "http://127.0.0.1:1"])
def test_nobody_there(url: str) -> None:
    with Client(url) as client, pytest.raises(QueueUnavailable, match=r"127\.0\.0\.1:1 cannot be reached"):
        client.submit("a circle")


@pytest.mark.parametrize("result", [{}, {"files": ["video"]}, {"files": {"video": "v.mp4"}}, {"files": {"video": {}}}])
def test_a_damaged_result_is_no_file(
    fleet: Fleet, tmp_path: Path, closed_after: ClosedAfter, result: dict[str, object]
) -> None:
    job = closed_after(Client(fleet.redis_url, fleet.store_url)).submit("a circle")
    assert fleet.queue.complete(fleet.claim(), result)
    with pytest.raises(StorageFailed, match=f"the result of job {job.id} is damaged; look at its result.json"):
        job.download(tmp_path / "circle.mp4")
    assert not list(tmp_path.glob("circle*"))


def test_a_store_is_needed_only_for_files(fleet: Fleet, tmp_path: Path, closed_after: ClosedAfter) -> None:
    job = closed_after(Client(fleet.redis_url)).submit("a circle")
    fleet.work()
    with pytest.raises(InvalidInput, match="no store was given"):
        job.download(tmp_path / "circle.mp4")


def test_an_api_with_a_key(serve_api: Callable[[str | None], str]) -> None:
    address = serve_api("secret")
    with Client(address, api_key="secret") as client:
        assert client.submit("a circle").status().state is JobState.QUEUED
    with Client(address, api_key="guess") as stranger, pytest.raises(InvalidInput, match=r"refuses .*FASTFLOW_API_KEY"):
        stranger.submit("a circle")


def test_an_api_with_a_key_in_any_script(serve_api: Callable[[str | None], str]) -> None:
    with Client(serve_api("sésame, 開け"), api_key="sésame, 開け") as client:
        assert client.jobs() == []


@pytest.mark.parametrize("api_key", ["sesame\n", "ses\name", "sesame ", "sesame\ud800"])
def test_a_key_that_no_header_holds_is_refused_and_not_told(api_key: str) -> None:
    with pytest.raises(InvalidInput, match="the API key has a space at an end, or a line break") as refused:
        Client("http://127.0.0.1:1", api_key=api_key)
    assert "ses" not in str(refused.value)


def test_an_api_keeps_to_its_own_limits() -> None:
    with pytest.raises(InvalidInput, match="an HTTP API has limits of its own; leave out max_queued"):
        Client("http://127.0.0.1:1", max_queued=5)


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port", "https://fleet.example:99999x"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not a valid address .*; write http://host:port"):
        Client(url)


def test_an_address_that_is_not_a_fleets(serve_api: Callable[[str | None], str]) -> None:
    elsewhere = serve_api(None) + "/elsewhere"
    with Client(elsewhere) as client, pytest.raises(QueueUnavailable, match="does not answer like a fleet's API"):
        client.submit("a circle")


def test_waiting_while_a_worker_works(fleet: Fleet, client: Client) -> None:
    job = client.submit("a circle")
    worker = threading.Thread(target=fleet.work)
    worker.start()
    assert job.wait(timeout_s=20, poll_s=0.01).state is JobState.SUCCEEDED
    worker.join()
