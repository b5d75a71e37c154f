"""The claim loop: one model loaded once, job after job, a queue that may go away, and a polite leave."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from one_worker import LEASE_S
from shop import Shop
from waiting import wait_for

from fastflow_ray.errors import DeviceLost, ModelLoadFailed, StorageFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue.worker_card import WorkerCard
from workers.ending import Fate
from workers.scratch_folder import OWNER, ScratchFolder
from workers.status import WorkerState


@pytest.fixture
def shop(small_engine: Engine, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(small_engine, tmp_path / "store")
    yield shop
    shop.worker.drain()
    if shop.thread.is_alive():
        shop.thread.join(30)
    assert not shop.thread.is_alive()


def test_it_loads_once_and_runs_job_after_job(shop: Shop) -> None:
    ids = [shop.submit(seed=seed) for seed in range(3)]
    shop.worker.run(jobs=3)
    assert [shop.state(job_id) for job_id in ids] == [JobState.SUCCEEDED] * 3
    assert shop.loads == ["small"]
    assert len(shop.sums.waits_s) == 3
    assert [ending.fate for ending in shop.sums.endings] == [Fate.SUCCEEDED] * 3
    (key,) = shop.ledger.statistics.tables
    assert shop.ledger.statistics.runs(key) == 3, "the feed delivered before the worker left"


def test_it_begins_with_what_killed_ones_left_in_the_temporary_folder(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, mine = tmp_path / "fastflow-left", ScratchFolder(tmp_path)
    left.mkdir()
    (left / OWNER).touch()
    shop.worker.run(jobs=0)
    assert not left.exists()
    assert mine.path.exists()
    mine.remove()


def test_its_card_says_what_it_is_and_goes_when_it_leaves(shop: Shop) -> None:
    job_id = shop.submit()
    busy = WorkerCard("worker-1", shop.engine.versions["device"], WorkerState.BUSY, job_id)
    at_work = lambda *_: wait_for(lambda: [replace(card, beats=0) for card in shop.queue.workers()] == [busy])  # noqa: E731
    shop.engine.interfere = at_work
    shop.worker.run(jobs=1)
    assert shop.queue.workers() == []


def test_it_counts_how_long_a_job_waited_and_how_much_it_published(shop: Shop) -> None:
    job_id = shop.submit()
    shop.clock.now_s += 25.0
    shop.worker.run(jobs=1)
    assert shop.sums.waits_s == [25.0]
    record = shop.queue.get(job_id)
    assert record is not None
    assert record.result is not None
    (ending,) = shop.sums.endings
    assert ending.published_bytes == sum(file["size"] for file in record.result["files"].values()) > 0


def test_its_status_follows_its_day(shop: Shop) -> None:
    seen: list[tuple[WorkerState, str | None]] = []
    look: Callable[[object, object], None] = lambda *_: seen.append((status().state, status().job_id))  # noqa: E731
    status = shop.worker.status
    shop.engine.interfere = look
    assert status().state is WorkerState.LOADING
    shop.thread.start()
    wait_for(lambda: status().state is WorkerState.IDLE)
    job_id = shop.submit()
    wait_for(lambda: shop.state(job_id) is JobState.SUCCEEDED)
    assert set(seen) == {(WorkerState.BUSY, job_id)}
    wait_for(lambda: status().state is WorkerState.IDLE)
    assert status().job_id is None
    shop.worker.drain()
    assert status().state is WorkerState.DRAINING
    shop.thread.join(30)
    assert status().busy_s == pytest.approx(shop.sums.busy_s)
    assert status().idle_s == pytest.approx(shop.sums.idle_s)
    assert min(shop.sums.busy_s, shop.sums.idle_s, shop.sums.load_s) > 0


def test_asked_to_leave_it_gives_the_job_back_and_takes_no_other(shop: Shop) -> None:
    first, second = shop.submit(), shop.submit(seed=8)

    def drain_midway(report: object, on_step: object) -> None:
        if getattr(report, "step", 0) == 3:
            shop.worker.drain()

    shop.engine.interfere = drain_midway
    shop.worker.run()
    assert [shop.state(first), shop.state(second)] == [JobState.QUEUED, JobState.QUEUED]
    assert [ending.fate for ending in shop.sums.endings] == [Fate.RELEASED]


def test_a_queue_that_comes_back_is_served_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.queue.unreachable = 3
    job_id = shop.submit()
    shop.worker.run(jobs=1)
    assert shop.state(job_id) is JobState.SUCCEEDED
    assert caplog.text.count("the cable is out; put it back") == 3


def test_a_store_that_keeps_nothing_costs_no_job_an_attempt(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop.thread.start()
    wait_for(lambda: shop.worker.status().state is WorkerState.IDLE)
    in_the_way = [tmp_path / "store" / name for name in ("jobs", "check")]  # files where folders should be
    for file in in_the_way:
        file.touch()
    ids = [shop.submit(seed=seed) for seed in range(3)]
    wait_for(lambda: caplog.text.count("! worker worker-1 looks again in") >= 2)
    assert {ending.reason for ending in shop.sums.endings} == {"storage"}
    assert len(shop.sums.endings) <= 2, "the one that was published, and the one that was made meanwhile"
    shop.clock.now_s += LEASE_S + 1
    wait_for(lambda: [card.worker for card in shop.queue.workers()] == ["worker-1"])  # it lives, though it takes no job
    assert shop.attempts(ids) == [(JobState.QUEUED, 0)] * 3
    for file in in_the_way:
        file.unlink()
    wait_for(lambda: shop.attempts(ids) == [(JobState.SUCCEEDED, 1)] * 3)


def test_a_lost_device_ends_the_worker_and_costs_the_job_one_attempt(shop: Shop) -> None:
    def lose_it(report: object, on_step: object) -> None:
        raise DeviceLost("the device computes nothing any more; go on elsewhere")

    shop.engine.interfere = lose_it
    ids = [shop.submit(seed=seed) for seed in range(2)]
    with pytest.raises(DeviceLost, match="go on elsewhere"):
        shop.worker.run()
    assert [shop.state(job_id) for job_id in ids] == [JobState.DELAYED, JobState.QUEUED]
    assert [ending.reason for ending in shop.sums.endings] == ["device_lost"]
    assert shop.worker.status().ends == "device_lost", "whoever looks after it hears why"
    assert shop.engine.frees == 0, "there is nothing left that could be freed"


def test_without_a_model_it_ends_at_once(shop: Shop) -> None:
    def fail(model: str) -> Engine:
        raise ModelLoadFailed("no weights; fetch them")

    shop.worker._stand._load = fail
    with pytest.raises(ModelLoadFailed):
        shop.worker.run()
    assert shop.worker.status().state is WorkerState.LEAVING, "nobody told it to"


def test_without_a_store_it_ends_before_it_takes_a_job(small_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    shop = Shop(small_engine, tmp_path / "store")
    job_id = shop.submit()
    with pytest.raises(StorageFailed):
        shop.worker.run()
    assert shop.state(job_id) is JobState.QUEUED
    assert not shop.loads
