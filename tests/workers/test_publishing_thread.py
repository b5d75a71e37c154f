"""The publishing thread: while one video is published the next is made, on two leases and never three."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from one_worker import LEASE_S, Clock, OneWorker
from shop import Shop
from waiting import wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import Engine, StepReport
from workers.ending import Fate
from workers.lease_keeper import LeaseKeeper
from workers.publishing_thread import PublishingThread
from workers.status import WorkerState


@pytest.fixture
def slow_shop(small_engine: Engine, tmp_path: Path) -> Iterator[Shop]:
    """A shop at work whose store holds each manifest back until `let_through` is set."""
    shop = Shop(small_engine, tmp_path / "store")
    shop.thread.start()
    wait_for(lambda: shop.worker.status().state is WorkerState.IDLE)
    shop.store.after_manifest = lambda: shop.let_through.wait(60)
    yield shop
    shop.let_through.set()
    shop.worker.drain()
    shop.thread.join(60)
    assert not shop.thread.is_alive()


def decoded(shop: Shop) -> int:
    """Videos that have left the device, or are about to."""
    return sum(report.phase == "decode" for report in shop.engine.reports)


def test_the_next_video_is_made_while_one_is_published(slow_shop: Shop) -> None:
    first, second = slow_shop.submit(), slow_shop.submit(seed=8)
    status = slow_shop.worker.status
    seen: list[tuple[str | None, str | None]] = []
    slow_shop.engine.interfere = lambda report, on_step: seen.append((status().job_id, status().publishing))
    wait_for(lambda: decoded(slow_shop) == 2)
    assert slow_shop.state(first) is JobState.RUNNING, "its manifest is held back"
    assert {job_id for job_id, _ in seen} == {first, second}
    assert seen[-1] == (second, first)
    assert status().state is WorkerState.BUSY
    slow_shop.let_through.set()
    wait_for(lambda: [slow_shop.state(job_id) for job_id in (first, second)] == [JobState.SUCCEEDED] * 2)
    wait_for(lambda: status().state is WorkerState.IDLE)
    assert (status().job_id, status().publishing) == (None, None)


def test_its_card_tells_of_both_jobs(slow_shop: Shop) -> None:
    first, second = slow_shop.submit(), slow_shop.submit(seed=8)
    hands = lambda: [(card.job_id, card.publishing) for card in slow_shop.queue.workers()]  # noqa: E731
    slow_shop.engine.interfere = lambda report, on_step: (
        slow_shop.worker.status().publishing and wait_for(lambda: hands() == [(second, first)])
    )
    wait_for(lambda: decoded(slow_shop) == 2)
    slow_shop.let_through.set()
    wait_for(lambda: hands() == [(None, None)])
    assert slow_shop.queue.workers()[0].state == WorkerState.IDLE


def test_two_leases_and_no_third_and_both_are_kept(slow_shop: Shop) -> None:
    ids = [slow_shop.submit(seed=seed) for seed in range(4)]
    wait_for(lambda: decoded(slow_shop) == 2)
    before = len(slow_shop.queue.beaten)
    wait_for(lambda: {*slow_shop.queue.beaten[before:]} == {*ids[:2]})
    assert [slow_shop.state(job_id) for job_id in ids] == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 2
    assert decoded(slow_shop) == 2
    slow_shop.let_through.set()
    wait_for(lambda: {slow_shop.state(job_id) for job_id in ids} == {JobState.SUCCEEDED})
    wait_for(lambda: len(slow_shop.sums.endings) == 4)
    slow_shop.worker.drain()
    slow_shop.thread.join(60)
    (key,) = slow_shop.ledger.statistics.tables
    assert slow_shop.ledger.statistics.runs(key) == 4, "what each taught was reported once"


def test_who_leaves_publishes_what_is_made_and_gives_back_what_is_not(slow_shop: Shop) -> None:
    first, second = slow_shop.submit(), slow_shop.submit(seed=8)

    def drain_in_the_second(report: StepReport, on_step: object) -> None:
        if report.step == 3 and slow_shop.worker.status().publishing == first:
            slow_shop.worker.drain()

    slow_shop.engine.interfere = drain_in_the_second
    wait_for(lambda: slow_shop.state(second) is JobState.QUEUED and slow_shop.sums.endings)
    assert slow_shop.state(first) is JobState.RUNNING
    assert slow_shop.thread.is_alive(), "it waits for the publishing thread"
    slow_shop.let_through.set()
    slow_shop.thread.join(60)
    assert slow_shop.state(first) is JobState.SUCCEEDED
    assert [ending.fate for ending in slow_shop.sums.endings] == [Fate.RELEASED, Fate.SUCCEEDED]
    record = slow_shop.queue.get(second)
    assert record is not None
    assert record.attempts == 0


@pytest.mark.parametrize(
    "act", [lambda shop, job_id: shop.queue.cancel(job_id), lambda shop, job_id: shop.lose(job_id)]
)
def test_a_video_that_waits_for_the_thread_can_be_cancelled_and_lost(
    slow_shop: Shop, act: Callable[[Shop, str], object]
) -> None:
    first, second = slow_shop.submit(), slow_shop.submit(seed=8)
    wait_for(lambda: decoded(slow_shop) == 2)
    act(slow_shop, second)
    (ending,) = wait_for(lambda: slow_shop.sums.endings)
    assert ending.fate in (Fate.CANCELLED, Fate.LOST)
    assert slow_shop.state(first) is JobState.RUNNING
    slow_shop.let_through.set()
    wait_for(lambda: slow_shop.state(first) is JobState.SUCCEEDED)
    assert not list(slow_shop.store.list(f"jobs/{second}/"))


def test_a_thread_that_hangs_holds_nobody_hostage(one: OneWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the job in it nor the one that waits in front of it is beaten for any longer than the stall limit."""
    clock, let_through = Clock(), threading.Event()
    monkeypatch.setattr("workers.runner.LeaseKeeper", partial(LeaseKeeper, clock=clock))
    one.store.after_manifest = lambda: let_through.wait(60)
    ids = [one.submit(seed=seed) for seed in (1, 2)]
    maker = threading.Thread(target=lambda: [one.runner.run(one.queue, one.claim()) for _ in ids])
    maker.start()
    wait_for(lambda: [one.record(job_id).progress.phase for job_id in ids] == ["upload", "encode"])
    clock.now_s += 300.0
    looks = clock.looks
    wait_for(lambda: clock.looks > looks + 10)
    beats, looks = len(one.queue.beaten), clock.looks
    wait_for(lambda: clock.looks > looks + 20)
    assert len(one.queue.beaten) == beats
    let_through.set()
    maker.join(60)
    one.executor.close()
    assert [one.record(job_id).state for job_id in ids] == [JobState.SUCCEEDED] * 2, "nobody had taken them"


def test_a_job_whose_worker_died_has_no_neighbour(small_engine: Engine, tmp_path: Path) -> None:
    """It may have been the one that killed it; and if not, another one's death shall not make it poison."""
    shop = Shop(small_engine, tmp_path / "store")
    died = shop.submit()
    assert shop.queue.claim("worker-0", LEASE_S)
    shop.clock.now_s += 2 * LEASE_S
    assert shop.queue.requeue(shop.queue.expired()[0])
    for seed in (8, 9):
        shop.submit(seed=seed, priority=200)  # before it
        shop.submit(seed=seed + 2)  # and after it
    seen: set[tuple[str | None, str | None]] = set()
    status = shop.worker.status
    shop.engine.interfere = lambda report, on_step: seen.add((status().job_id, status().publishing))
    shop.store.after_manifest = lambda: threading.Event().wait(0.5)  # time enough to make another
    shop.worker.run(jobs=5)
    assert len(shop.sums.endings) == 5
    assert {pair for pair in seen if died in pair} == {(died, None)}
    assert any(None not in pair for pair in seen), "the others overlapped"


def test_a_defect_in_the_thread_is_met_by_whoever_comes_next_and_by_nobody_after() -> None:
    def fail() -> None:
        raise ZeroDivisionError("a defect")

    executor = PublishingThread()
    executor.enter(fail, waiting=lambda: None)
    with pytest.raises(ZeroDivisionError):
        executor.enter(lambda: None, waiting=lambda: None)
    done: list[int] = []
    executor.enter(lambda: done.append(1), waiting=lambda: None)
    executor.close()
    assert done
