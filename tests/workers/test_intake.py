"""Where the next job comes from when answers get lost, and what a worker does with one that it shall only look for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from one_worker import LEASE_S, Clock, OneWorker, WatchedQueue
from shop import Shop
from two_queues import TwoQueues

from fastflow_ray.errors import StorageFailed
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import Engine
from fastflow_ray.queue.contract import Claim
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.storage.folder import FolderStore
from workers import intake, store_watch
from workers.config import WorkerConfig
from workers.ending import Fate
from workers.intake import Intake
from workers.meter import NoMeter
from workers.rota import Rota
from workers.store_watch import StoreWatch
from workers.timesheet import Timesheet


def test_lost_answers_to_claims_cost_no_attempt(small_engine: Engine, tmp_path: Path) -> None:
    shop = Shop(small_engine, tmp_path / "store")
    shop.queue.unheard = 2
    ids = [shop.submit(seed=seed) for seed in range(2)]
    shop.worker.run(jobs=2)
    records = [shop.queue.get(job_id) for job_id in ids]
    assert [(r.state, r.attempts, r.crashes) for r in records if r] == [(JobState.SUCCEEDED, 1, 0)] * 2


@pytest.fixture
def two_queues() -> dict[str, WatchedQueue]:
    """A job in each; the first one's answer to a claim gets lost."""
    queues = {name: WatchedQueue(Clock()) for name in "ab"}
    for name, queue in queues.items():
        queue.name = name
        queue.submit(VideoJob(prompt="x", seed=1))
    queues["a"].unheard = 1
    return queues


def intake_of(
    rota: Rota, store: Path | StoreWatch, on_idle: Callable[[], object], draining: threading.Event | None = None
) -> Intake:
    config = WorkerConfig("w", ("a", "b"), "redis://unused", "file:///unused")
    meter, leave = NoMeter(), draining or threading.Event()
    watch = StoreWatch(FolderStore(store), "w") if isinstance(store, Path) else store
    return Intake(config, rota, watch, meter, Timesheet(meter), leave, on_idle)


def test_whoever_did_not_answer_is_asked_again_before_another(
    two_queues: dict[str, WatchedQueue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the other queue's turn by now; but of this one, a job may be ours already."""
    monkeypatch.setattr(intake, "LONGEST_BACKOFF_S", 0.0)
    rota = Rota(two_queues)
    found = intake_of(rota, tmp_path, on_idle=lambda: rota.took("b")).next_claim()
    assert found
    assert found[0].name == "a"
    assert [queue.depth().running for queue in two_queues.values()] == [1, 0]


def test_a_leaving_worker_gives_back_what_it_never_heard_of(
    two_queues: dict[str, WatchedQueue], tmp_path: Path
) -> None:
    draining = threading.Event()
    assert intake_of(Rota(two_queues), tmp_path, on_idle=draining.set, draining=draining).next_claim() is None
    (record,) = two_queues["a"].list()
    assert (record.state, record.attempts, record.crashes) == (JobState.QUEUED, 0, 0)


@pytest.mark.parametrize("unreleased", [0, 2])
def test_a_worker_whose_store_keeps_nothing_gives_back_what_it_never_heard_of(
    two_queues: dict[str, WatchedQueue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreleased: int
) -> None:
    two_queues["a"].unreleased = unreleased
    monkeypatch.setattr(intake, "LONGEST_BACKOFF_S", 0.0)
    (tmp_path / "store").write_text("no folder")
    monkeypatch.setattr(store_watch, "FIRST_PAUSE_S", 0.0)
    watch = StoreWatch(FolderStore(tmp_path / "store"), "w")
    draining, seen = threading.Event(), []

    def look() -> None:
        (record,) = two_queues["a"].list()
        seen.append((record.state, record.attempts, record.crashes))
        assert watch.is_to_blame()
        if len(seen) == 2 + unreleased:
            draining.set()

    worker = intake_of(Rota(two_queues), watch, on_idle=look, draining=draining)
    assert worker.next_claim() is None
    given = (JobState.RUNNING, 1, 0)
    assert seen == [given, *unreleased * [given], (JobState.QUEUED, 0, 0)], "given without an answer, then given back"


def test_a_leaving_worker_does_not_wait_for_a_queue_that_is_away(
    two_queues: dict[str, WatchedQueue], tmp_path: Path
) -> None:
    two_queues["a"].unreachable = 1_000
    draining = threading.Event()
    assert intake_of(Rota(two_queues), tmp_path, on_idle=draining.set, draining=draining).next_claim() is None
    assert two_queues["a"].unreachable == 998, "it was asked once more"


def crash(queue: MemoryQueue, clock: Clock) -> JobState | None:
    clock.now_s += 2 * LEASE_S
    (seen,) = queue.expired()
    return queue.requeue(seen)


def last_look(one: OneWorker) -> Claim:
    """Of a job that was claimed once more, by a worker that died too."""
    assert crash(one.queue, one.clock) is JobState.QUEUED
    look = one.claim()
    assert look.look_only
    return look


def test_what_a_dead_worker_had_published_is_the_jobs_result(one: OneWorker) -> None:
    job_id = one.submit()
    one.store.after_manifest = lambda: one.lose_the_lease()
    assert one.run().fate is Fate.LOST
    one.engine.reports.clear()
    assert one.run(last_look(one)).fate is Fate.SUCCEEDED
    assert not one.engine.reports
    assert one.record(job_id).state is JobState.SUCCEEDED


def test_where_none_was_published_the_job_is_poison_and_no_model_runs(one: OneWorker) -> None:
    job_id = one.submit()
    one.claim()
    one.lose_the_lease()
    ending = one.run(last_look(one))
    assert (ending.fate, ending.reason) == (Fate.DEAD, "worker_lost")
    assert not one.engine.reports
    error = one.record(job_id).error
    assert error
    assert error["message"].startswith("2 workers died on this job")


def test_a_store_that_cannot_be_looked_into_is_looked_into_later(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = one.submit()
    one.claim()
    one.lose_the_lease()
    look = last_look(one)
    with monkeypatch.context() as patch:
        patch.setattr(one.store, "get_bytes", _refuse)
        assert one.run(look).fate is Fate.RELEASED
    assert (one.record(job_id).state, one.record(job_id).attempts) == (JobState.QUEUED, look.attempt - 1)
    again = one.claim()
    assert again.look_only
    assert one.run(again).fate is Fate.DEAD
    assert one.record(job_id).crashes == 2


def _refuse(key: str, *on_progress: object) -> bytes:
    raise StorageFailed(f"no {key} today; try again")


def test_a_last_look_neither_loads_a_model_nor_counts_as_a_switch(two: TwoQueues) -> None:
    job_id = two.submit("b", seed=1)
    for _ in range(2):
        assert two.queues["b"].claim("dead", LEASE_S)
        assert crash(two.queues["b"], two.clock) is JobState.QUEUED
    two.worker.run(jobs=1)
    assert two.state("b", job_id) is JobState.DEAD
    assert two.loads == ["a"]
    assert two.sums.switches == 0
