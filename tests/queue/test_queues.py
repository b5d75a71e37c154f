"""The queues of all models seen as one; the same over Redis and over the twin."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from leaks import ClosedAfter
from waiting import wait_for

from fastflow_ray.errors import IdempotencyConflict, MemoryFull, UnknownJob
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue import queues as queues_module
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.queues import Queues

MODELS = ("circles", "squares")


@pytest.fixture
def queues(stage) -> Queues:
    return Queues({model: stage.open() for model in MODELS})


def submit(queues: Queues, model: str, key: str | None = None) -> str:
    return queues.submit(VideoJob(prompt="a small red circle", model=model, seed=7), key).record.job_id


def listed(queues: Queues, limit: int, newest_first: bool) -> list[str]:
    """The ids of all pages."""
    ids: list[str] = []
    while True:
        page = queues.page(limit, ids[-1] if ids else None, newest_first)
        ids += [found.record.job_id for found in page.jobs]
        if not page.has_more:
            return ids


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_hold_every_job_once_even_those_of_one_moment(queues: Queues, limit: int, newest_first: bool) -> None:
    """The twin's clock stands still: all its jobs are of one moment."""
    submitted = [submit(queues, MODELS[number // 2 % 2]) for number in range(9)]
    ids = listed(queues, limit, newest_first)
    assert sorted(ids) == sorted(submitted)
    assert ids == [found.record.job_id for found in queues.jobs(newest_first)]


@pytest.mark.parametrize("newest_first", [True, False])
def test_jobs_come_in_the_order_of_their_submission(stage, queues: Queues, newest_first: bool) -> None:
    for number in range(6):
        submit(queues, MODELS[number % 2])
        stage.elapse(1.0)
    times_s = [queues.find(job_id).record.created_s for job_id in listed(queues, 2, newest_first)]
    assert times_s == sorted(times_s, reverse=newest_first)
    assert len(times_s) == 6


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("gone", [slice(3, 4), slice(1, 4), slice(0, 4)], ids=["the last", "some", "all"])
def test_a_listing_goes_on_though_records_go_while_it_is_read(
    stage, queues: Queues, newest_first: bool, gone: slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues_module, "CHUNK", 4)
    ids = []
    for _ in range(10):
        ids.append(submit(queues, "circles"))
        stage.elapse(0.01)
        wait_for(lambda: time.time() > queues.find(ids[-1]).record.created_s + 0.002, poll_s=0.001)
    ids = ids[::-1] if newest_first else ids
    listing = queues.jobs(newest_first)
    shown = [next(listing).record.job_id for _ in range(4)]
    for job_id in shown[gone]:
        queue = queues.find(job_id).queue
        queue.cancel(job_id)
        assert queue.forget(job_id)
    assert shown + [found.record.job_id for found in listing] == ids


def test_a_page_after_a_job_that_is_gone_is_refused(queues: Queues) -> None:
    with pytest.raises(UnknownJob):
        queues.page(10, "nobody", newest_first=True)


def test_a_key_names_one_job_of_all_queues(queues: Queues) -> None:
    first = submit(queues, "circles", "monday")
    assert submit(queues, "circles", "monday") == first
    with pytest.raises(IdempotencyConflict, match="by circles"):
        submit(queues, "squares", "monday")


def test_of_two_at_once_with_one_key_the_second_is_refused(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looked for the other's job before either was stored."""
    circles = queues.find(submit(queues, "circles")).queue
    stores = circles.submit

    def overtaken(*job: Any) -> JobRecord:
        with pytest.raises(IdempotencyConflict, match="by circles"):
            submit(queues, "squares", "monday")
        return stores(*job)

    monkeypatch.setattr(circles, "submit", overtaken)
    job_id = submit(queues, "circles", "monday")
    assert submit(queues, "circles", "monday") == job_id
    assert [depth.queued for depth in queues.depths().values()] == [2, 0]


def test_where_there_is_one_model_nothing_is_asked_about_others(stage, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = stage.open()
    monkeypatch.setattr(queue, "hold", None)
    assert len({submit(Queues({"circles": queue}), "circles", "monday") for _ in range(2)}) == 1


def test_a_server_without_memory_refuses_a_job_with_a_key_like_any_other(
    own_server: EmbeddedValkey, closed_after: ClosedAfter
) -> None:
    queues = closed_after(Queues({model: open_queue(own_server.url, model) for model in MODELS}))
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(MemoryFull):
        submit(queues, "squares", "monday")


def test_a_job_is_found_in_whichever_queue_it_is(queues: Queues) -> None:
    job_id = submit(queues, "squares")
    assert queues.find(job_id).record.job_id == job_id
    assert queues.get("nobody") is None
    with pytest.raises(UnknownJob, match="'nobody'"):
        queues.find("nobody")
    assert [depth.queued for depth in queues.depths().values()] == [0, 1]
