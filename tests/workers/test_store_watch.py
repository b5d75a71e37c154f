"""A store that keeps nothing is the worker's trouble: it rests, and no job pays for it."""

from __future__ import annotations

import errno
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from shop import Shop
from waiting import wait_for

from fastflow_ray.errors import StorageFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue.worker_card import RESTING
from fastflow_ray.storage import Store
from fastflow_ray.storage.folder import FolderStore
from workers import store_watch
from workers.ending import Fate
from workers.status import WorkerState
from workers.store_proof import MARGIN_BYTES
from workers.store_watch import FIRST_PAUSE_S, LONGEST_PAUSE_S, StoreWatch

FULL = "No space left on device; free space on the disk"


class Disk:
    """How large a file it has room for."""

    def __init__(self) -> None:
        self.free_bytes = 10**9


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk, fsync = Disk(), os.fsync

    def flush(descriptor: int) -> None:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) and about.st_size > disk.free_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)  # where a file system that allocates late, or NFS, tells it
    return disk


@pytest.fixture
def watch(disk: Disk, tmp_path: Path) -> StoreWatch:
    return StoreWatch(FolderStore(tmp_path), "worker-1")


@contextmanager
def at_work(shop: Shop) -> Iterator[None]:
    """Inside, the worker runs."""
    shop.thread.start()
    wait_for(lambda: shop.worker.status().state is WorkerState.IDLE)
    try:
        yield
    finally:
        shop.worker.drain()
        shop.thread.join(60)
    assert not shop.thread.is_alive()


def test_a_disk_that_takes_a_few_bytes_more_costs_no_job_an_attempt(
    small_engine: Engine, disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shop = Shop(small_engine, tmp_path / "store")
    with at_work(shop):
        disk.free_bytes = 500
        ids = [shop.submit(seed=seed) for seed in range(5)]
        wait_for(lambda: caplog.text.count("! worker worker-1 looks again in") >= 3)
        assert {(ending.fate, ending.reason) for ending in shop.sums.endings} == {(Fate.RELEASED, "storage")}
        assert len(shop.sums.endings) <= 2, "the one that was published, and the one that was made meanwhile"
        assert shop.attempts(ids) == [(JobState.QUEUED, 0)] * 5
        disk.free_bytes = 10**9
        wait_for(lambda: shop.attempts(ids) == [(JobState.SUCCEEDED, 1)] * 5)
    assert caplog.text.count("! worker worker-1 rests, for its store keeps nothing: cannot write") == 1
    assert caplog.text.count("-> worker worker-1 goes on, for its store keeps what it is given") == 1


def test_a_temporary_folder_that_takes_nothing_costs_no_job_an_attempt(
    small_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    temporary = tmp_path / "temporary"
    with at_work(shop):
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # not made yet: the system refuses whatever is written
        ids = [shop.submit(seed=seed) for seed in range(3)]
        wait_for(lambda: f"cannot write to {temporary}: No such file" in shop.worker.status().rests)
        wait_for(lambda: shop.attempts(ids) == [(JobState.QUEUED, 0)] * 3)
        wait_for(lambda: shop.sums.endings)  # the queue hears of an end before the worker has noted it
        assert {(ending.fate, ending.reason) for ending in shop.sums.endings} == {(Fate.RELEASED, "storage")}
        temporary.mkdir()
        wait_for(lambda: shop.attempts(ids) == [(JobState.SUCCEEDED, 1)] * 3)
        wait_for(lambda: not shop.worker.status().rests)
    assert list(temporary.iterdir()) == []


def test_card_and_status_tell_why_it_rests_until_it_goes_on(small_engine: Engine, disk: Disk, tmp_path: Path) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    with at_work(shop):
        assert not shop.worker.status().rests
        disk.free_bytes = 500
        job_id = shop.submit()
        wait_for(lambda: [card.state for card in shop.queue.workers()] == [RESTING])
        (card,) = shop.queue.workers()
        assert FULL in card.why
        assert FULL in shop.worker.status().rests
        disk.free_bytes = 10**9
        wait_for(lambda: shop.state(job_id) is JobState.SUCCEEDED)
        wait_for(lambda: [(card.state, card.why) for card in shop.queue.workers()] == [(WorkerState.IDLE, "")])
        assert not shop.worker.status().rests


def test_what_the_store_holds_of_one_job_is_that_jobs_trouble(
    small_engine: Engine, disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    bad, good = shop.submit(seed=1), shop.submit(seed=2)
    (tmp_path / "store" / "jobs").mkdir(parents=True)
    (tmp_path / "store" / "jobs" / bad).touch()  # where its folder should be
    with at_work(shop):
        wait_for(lambda: shop.state(good) is JobState.SUCCEEDED)
        wait_for(lambda: shop.attempts([bad]) == [(JobState.DELAYED, 1)])
    assert "rests" not in caplog.text


def test_a_worker_whose_store_keeps_nothing_leaves_when_asked(small_engine: Engine, disk: Disk, tmp_path: Path) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    with at_work(shop):
        disk.free_bytes = 500
        job_id = shop.submit()
        wait_for(lambda: shop.worker.status().rests)
    assert shop.attempts([job_id]) == [(JobState.QUEUED, 0)]
    assert shop.queue.workers() == []


def test_while_the_proof_goes_on_its_job_is_nobody_elses(
    small_engine: Engine, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(small_engine, tmp_path / "store", stall_s=0.5)
    heard: list[int] = []

    def slow(store: Store, result_bytes: int, worker: str, on_progress: Callable[[], None]) -> None:
        def beats() -> int:
            on_progress()
            return len(shop.queue.beats)

        begun = beats()
        wait_for(lambda: heard or beats() > begun + 150)  # far longer than a job may stand still
        heard.append(beats() - begun)
        raise StorageFailed(FULL)

    monkeypatch.setattr(store_watch, "prove", slow)
    with at_work(shop):
        disk.free_bytes = 500
        job_id = shop.submit()
        wait_for(lambda: shop.worker.status().rests)
    assert heard[0] > 150
    assert shop.attempts([job_id]) == [(JobState.QUEUED, 0)]


def test_a_worker_that_was_asked_to_leave_wants_no_more_proofs(
    small_engine: Engine, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    with at_work(shop):
        monkeypatch.setattr(shop.store, "check", refusing := Refusing())
        disk.free_bytes = 500
        shop.submit()
        wait_for(lambda: refusing.asked == 4)  # the next one is due in three seconds
    assert refusing.asked == 4


def test_the_proof_is_as_large_as_the_result_it_refused(watch: StoreWatch, disk: Disk) -> None:
    disk.free_bytes = 1_000_000
    watch.expect(2_000_000)
    assert watch.is_to_blame()
    disk.free_bytes = 2_000_000
    assert not watch.is_trusted(), "there has to be room for a manifest too"
    disk.free_bytes += 2 * MARGIN_BYTES
    assert watch.is_trusted()


def test_a_result_larger_than_any_it_kept_is_its_jobs_trouble(watch: StoreWatch, disk: Disk) -> None:
    watch.expect(800_000)
    watch.kept()
    disk.free_bytes = 1_000_000
    watch.expect(60_000_000)
    assert not watch.is_to_blame()
    assert not watch.in_doubt
    disk.free_bytes = 500_000
    watch.expect(60_000_000)
    assert watch.is_to_blame()
    watch.expect(100)
    disk.free_bytes = 100_000
    assert watch.is_trusted(), "a small one is what it was to keep last"


def test_while_it_is_in_doubt_nothing_is_begun(watch: StoreWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, str]] = []
    monkeypatch.setattr(watch._store, "check", lambda: seen.append((watch.in_doubt, watch.why)))
    assert not watch.is_to_blame()
    assert seen == [(True, "")], "nor does anybody tell of it before it is certain"
    assert not watch.in_doubt
    assert watch.is_trusted()
    assert len(seen) == 1, "nobody doubts it"


def test_known_to_keep_nothing_it_is_not_asked_again_for_each_job(
    watch: StoreWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch._store, "check", refusing := Refusing())
    assert watch.is_to_blame()
    assert watch.is_to_blame()
    assert refusing.asked == 1


def test_of_two_that_it_failed_at_once_one_has_it_prove_itself(
    watch: StoreWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch._store, "check", refusing := Refusing())
    with ThreadPoolExecutor(2) as threads:
        with watch._proving:
            answers = [threads.submit(watch.is_to_blame) for _ in range(2)]
            wait_for(lambda: watch.in_doubt)
        assert [answer.result() for answer in answers] == [True, True]
    assert refusing.asked == 1


def test_who_waits_for_the_proof_hears_that_it_goes_on(watch: StoreWatch) -> None:
    heard: list[bool] = []
    watch.expect(3_000_000)
    assert not watch.is_to_blame(on_progress=lambda: heard.append(True))
    assert len(heard) >= 3, "each MiB"


def test_what_a_killed_proof_left_is_written_over(watch: StoreWatch, tmp_path: Path) -> None:
    left = tmp_path / "check" / "room" / "of-worker-1" / "result"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of one that was killed")
    assert not watch.is_to_blame()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_pauses_grow_to_a_minute_and_only_a_kept_result_ends_that(
    watch: StoreWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses_s = []
    with monkeypatch.context() as away:
        away.setattr(watch._store, "check", Refusing())
        assert watch.is_to_blame()
        for _ in range(20):
            pauses_s.append(watch.pause_s)
            assert not watch.is_trusted()
    assert pauses_s[0] == 2 * FIRST_PAUSE_S
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] == LONGEST_PAUSE_S
    assert watch.is_trusted()
    assert watch.pause_s == LONGEST_PAUSE_S
    watch.kept()
    assert watch.pause_s == FIRST_PAUSE_S


class Refusing:
    """A check that fails, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        raise StorageFailed("the bucket is away; bring it back")
