"""An interrupted job goes on elsewhere: the same video, nothing made or taught twice, and bad bytes not believed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from one_worker import STEPS, Clock, FollowedRunner, OneWorker, at, overheard
from waiting import wait_for

from fastflow_ray.errors import OutOfMemory, Retryable, StorageFailed
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.storage.checkpoints import CheckpointRoom
from fastflow_ray.storage.folder import FolderStore
from workers import checkpoints
from workers.arm_feed import ArmFeed
from workers.checkpoints import Writer, is_due, sweep
from workers.ending import Ending, Fate

AUTO = {"acceleration": "auto", "evaluations": 5, "audit": False}


class Killed(BaseException):
    """What no worker survives."""


def kill() -> None:
    raise Killed


def saved(one: OneWorker) -> list[str]:
    return list(one.store.list("checkpoints/"))


@pytest.fixture
def a_checkpoint_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "WORTH_S", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


@contextmanager
def elsewhere(one: OneWorker) -> Iterator[FollowedRunner]:
    """Another worker of the same queue and store, which has learnt nothing but what the fleet tells it."""
    feed = ArmFeed(one.ledger, "worker-2")
    wait_for(lambda: feed.known().to_json() == one.ledger.statistics.to_json())
    followed = FollowedRunner(one.queue, one.store, one.engine, feed, threading.Event())
    yield followed
    followed.executor.close()
    assert feed.close()


def drain_at(one: OneWorker, step: int) -> None:
    """The worker is asked to leave at that step of its job."""
    one.engine.interfere = at("sample", step, one.draining.set)
    assert one.run().fate is Fate.RELEASED
    one.engine.interfere = lambda report, on_step: None


def finish_elsewhere(one: OneWorker) -> Ending:
    one.engine.reports.clear()
    with elsewhere(one) as runner:
        return runner.run(one.claim("worker-2"))


@pytest.mark.parametrize("mode", [{"acceleration": "off"}, {"acceleration": "fastflow"}, AUTO])
def test_a_job_of_a_leaving_worker_goes_on_elsewhere_to_the_same_video(one: OneWorker, mode: dict[str, Any]) -> None:
    for seed in (1, 2, 3):
        one.submit(seed=seed, **mode)
        one.run()
    wait_for(
        lambda: one.ledger.statistics.to_json() == one.runner._fastflow.statistics.to_json() or "off" in mode.values()
    )
    uninterrupted = one.submit(**mode)
    with elsewhere(one) as runner:  # knows what the worker knows that is interrupted
        runner.run(one.claim("worker-2"))
    job_id = one.submit(**mode)
    drain_at(one, 5)
    (key,) = saved(one)
    assert key.startswith(f"checkpoints/small/{job_id}/")
    ending = finish_elsewhere(one)
    assert ending.fate is Fate.SUCCEEDED
    assert [report.step for report in one.engine.reports if report.phase == "sample"] == [0, *range(6, STEPS + 1)]
    made, expected = one.manifest(job_id), one.manifest(uninterrupted)
    assert made.files["video"].sha256 == expected.files["video"].sha256
    assert made.frames_sha256 == expected.frames_sha256
    assert made.evaluations == ending.evaluations == expected.evaluations, "counted once"
    assert (made.resumed_at_steps, expected.resumed_at_steps) == ((5,), ())
    assert (made.plan, made.snapshot) == (expected.plan, expected.snapshot)
    assert made.evaluations.skipped > 0 or mode == {"acceleration": "off"}
    assert not saved(one), "nobody needs it any more"


@pytest.mark.parametrize("mode", [{"acceleration": "fastflow"}, AUTO])
def test_what_an_interrupted_job_teaches_is_told_once(one: OneWorker, mode: dict[str, Any], tmp_path: Path) -> None:
    whole = OneWorker(one.engine, tmp_path / "whole")
    for seed in (1, 2):
        for worker in (whole, one):
            worker.submit(seed=seed, **mode)
            worker.run()
    whole.submit(**mode)
    whole.run()
    assert whole.feed.close()
    one.submit(**mode)
    drain_at(one, 5)
    one.draining.clear()
    drain_at(one, 9)
    assert one.feed.close()
    told = one.ledger.statistics.to_json()
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.ledger.statistics.to_json() == whole.ledger.statistics.to_json() != told


@pytest.mark.usefixtures("a_checkpoint_at_every_step")
def test_a_killed_workers_job_goes_on_from_its_latest_checkpoint(one: OneWorker) -> None:
    def see_it_written(report: StepReport, on_step: OnStep) -> None:
        if report.step == 8:
            assert one.runner._checkpoints.writer.flush(60)
            kill()

    one.engine.interfere = see_it_written
    job_id = one.submit()
    with pytest.raises(Killed):
        one.run()
    one.engine.interfere = lambda report, on_step: None
    one.engine.reports.clear()
    claim = one.lose_the_lease()
    with elsewhere(one) as runner:
        assert runner.run(claim).fate is Fate.SUCCEEDED
    made = one.manifest(job_id)
    assert made.resumed_at_steps == (7,), "no more than the step under way was lost"
    assert made.evaluations.made == STEPS
    assert not saved(one)


@pytest.mark.usefixtures("a_checkpoint_at_every_step")
def test_a_job_that_ran_out_of_memory_goes_on_frugally_from_its_checkpoint(one: OneWorker) -> None:
    def run_out(report: StepReport, on_step: OnStep) -> None:
        if report.step == 8 and not one.engine.specs[-1].frugal:
            assert one.runner._checkpoints.writer.flush(60)
            raise OutOfMemory("it was too much")

    one.engine.interfere = run_out
    job_id = one.submit()
    assert one.run().fate is Fate.SUCCEEDED
    made = one.manifest(job_id)
    assert made.economies
    assert made.resumed_at_steps == (7,)


def test_most_jobs_are_too_short_to_be_worth_a_checkpoint(one: OneWorker) -> None:
    seen: list[str] = []
    one.runner._checkpoints.clock = one.clock  # which stands still: this job is of no time, however busy the machine
    one.engine.interfere = lambda report, on_step: seen.extend(saved(one))
    one.submit()
    assert one.run().fate is Fate.SUCCEEDED
    assert not seen


@pytest.mark.parametrize(
    ("unsaved_s", "cost_s", "due"),
    [(4.9, 0.0, False), (5.0, 0.0, True), (5.0, 0.05, True), (9.9, 0.1, False), (10.0, 0.1, True), (299, 3.0, False)],
)
def test_checkpoints_cost_a_hundredth_of_the_time_at_most(unsaved_s: float, cost_s: float, due: bool) -> None:
    assert is_due(unsaved_s, cost_s) is due


def test_the_newest_replaces_what_waits_and_the_cost_is_measured() -> None:
    clock, written, may_go_on, begun = Clock(), [], threading.Event(), threading.Event()
    writer = Writer(clock)

    def write(name: str, seconds: float) -> Callable[[], None]:
        def act() -> None:
            begun.set()
            assert may_go_on.wait(60)
            clock.now_s += seconds
            written.append(name)

        return act

    assert writer.flush(0), "nothing to wait for"
    writer.give(write("first", 1.0))
    assert begun.wait(60)
    for name in ("second", "third"):
        writer.give(write(name, 2.0), copied_s=0.5)
    assert not writer.flush(0)
    may_go_on.set()
    assert writer.flush(60)
    assert written == ["first", "third"]
    assert writer.cost_s == 2.5
    writer.give(write("fourth", 0.0))
    assert writer.flush(60)
    assert written[-1] == "fourth"


def spoil(key: str, one: OneWorker, change: Callable[[bytes], bytes]) -> None:
    blob = one.store.get_bytes(key)
    assert blob is not None
    one.store.put_bytes(key, change(blob), "application/octet-stream")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda blob: b"", "it is damaged"),
        (lambda blob: blob[: len(blob) // 2], "it is damaged"),
        (lambda blob: blob[:-5] + bytes([blob[-5] ^ 1]) + blob[-4:], "its checksum is wrong"),
        (lambda blob: blob.replace(b'"version":"1"', b'"version":"2"'), "it is of version '2'"),
    ],
)
def test_a_damaged_checkpoint_is_ignored_with_one_line(
    one: OneWorker, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes], why: str
) -> None:
    job_id = one.submit()
    drain_at(one, 5)
    spoil(*saved(one), one, change)
    caplog.clear()
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "workers.checkpoints"]
    assert line.startswith(f"! {job_id} has a checkpoint that is ignored: {why}")
    assert not saved(one)


@pytest.mark.parametrize(
    ("foreign", "why"),
    [
        ({"revision": "another12345"}, "another revision"),
        ({"versions": {"torch": "1.0"}}, "another versions"),
        ({"payload": {"seed": 8}}, "another payload_sha256, spec_sha256"),
    ],
)
def test_a_foreign_checkpoint_is_ignored_with_one_line(
    one: OneWorker, caplog: pytest.LogCaptureFixture, foreign: dict[str, Any], why: str
) -> None:
    job_id = one.submit()
    drain_at(one, 5)
    (key,) = saved(one)
    if "payload" in foreign:
        one.queue.cancel(job_id)
        other = one.submit(**foreign["payload"])
        blob = one.store.get_bytes(key)
        assert blob is not None
        job_id, old_id = other, job_id
        one.store.put_bytes(key.replace(old_id, other), blob, "application/octet-stream")
        why = f"another job_id, {why.removeprefix('another ')}"
    for name, value in foreign.items():
        setattr(one.engine, name, value)
    caplog.clear()
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "workers.checkpoints"]
    assert line == f"! {job_id} has a checkpoint that is ignored: it was made for, or by, {why}"


def test_behind_a_bad_checkpoint_there_may_be_a_good_one(one: OneWorker) -> None:
    job_id = one.submit()
    drain_at(one, 5)
    (key,) = saved(one)
    one.store.put_bytes(key.replace("0000.", "9999."), b"torn", "application/octet-stream")
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == (5,)
    assert not saved(one)


def test_a_checkpoint_that_fits_the_job_but_not_the_pipeline_is_ignored_too(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Well-formed, and vouched for by its checksum: somebody means it."""
    write = checkpoints.write_checkpoint

    def forged(checkpoint: Any, passport: Any) -> bytes:
        return write(checkpoint.__class__(**{**vars(checkpoint), "grid": "ffffffffffff"}), passport)

    monkeypatch.setattr(checkpoints, "write_checkpoint", forged)
    job_id = one.submit()
    drain_at(one, 5)
    monkeypatch.undo()
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ()
    assert "is ignored: it does not fit this generation: it is of another grid" in caplog.text


@pytest.mark.parametrize(("end", "fate"), [("cancel", Fate.CANCELLED), ("bury", Fate.DEAD)])
def test_a_job_that_is_over_leaves_no_checkpoint(one: OneWorker, end: str, fate: Fate) -> None:
    job_id = one.submit(max_attempts=1)
    drain_at(one, 5)
    assert saved(one)
    act = {"cancel": lambda: one.queue.cancel(job_id), "bury": lambda: _raise(Retryable("no luck"))}[end]
    one.engine.interfere = at("sample", 7, act)
    assert finish_elsewhere(one).fate is fate
    assert not saved(one)


def test_a_job_that_failed_after_it_had_gone_on_begins_anew(one: OneWorker) -> None:
    job_id = one.submit()
    drain_at(one, 5)
    one.engine.interfere = at("sample", 7, lambda: _raise(Retryable("no luck")))
    assert finish_elsewhere(one).fate is Fate.RETRIED
    assert not saved(one), "it may have been the checkpoint's fault"
    one.engine.interfere = lambda report, on_step: None
    one.clock.now_s += 1_000
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ()


def _raise(error: Exception) -> None:
    raise error


def test_a_leaving_worker_finishes_a_trajectory_that_has_ended(one: OneWorker) -> None:
    one.engine.interfere = lambda report, on_step: (
        one.draining.set() if (report.phase, report.step) == ("sample", STEPS) else None
    )
    one.submit()
    assert one.run().fate is Fate.SUCCEEDED


def test_a_store_that_keeps_no_checkpoints_costs_none_of_the_job(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise StorageFailed("the disk is full; free some space")

    job_id = one.submit()
    monkeypatch.setattr(CheckpointRoom, "put", refuse)
    drain_at(one, 5)
    assert f"! {job_id} has no checkpoint of step 5: the disk is full" in caplog.text
    monkeypatch.setattr(CheckpointRoom, "newest_first", refuse)
    monkeypatch.setattr(CheckpointRoom, "delete", refuse)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ()


def test_a_job_is_given_back_only_when_its_checkpoint_is_there(one: OneWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store so slow that the next worker would look in vain."""
    put, release, given_back, found = CheckpointRoom.put, one.queue.release, threading.Event(), []

    def put_slowly(*arguments: Any) -> None:
        given_back.wait(0.5)
        put(*arguments)

    def release_and_look(claim: Any) -> bool:
        given_back.set()
        found.extend(saved(one))
        return release(claim)

    monkeypatch.setattr(CheckpointRoom, "put", put_slowly)
    monkeypatch.setattr(one.queue, "release", release_and_look)
    one.submit()
    drain_at(one, 5)
    assert len(found) == 1


def test_a_job_that_cannot_delete_its_checkpoint_teaches_all_the_same(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise StorageFailed("the bucket says no; ask its owner")

    job_id = one.submit()
    drain_at(one, 5)
    monkeypatch.setattr(CheckpointRoom, "delete", refuse)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert f"! {job_id} leaves a checkpoint behind: the bucket says no" in caplog.text
    (key,) = one.ledger.statistics.tables
    assert one.ledger.statistics.runs(key) == 1


def test_a_resumed_audit_counts_the_steps_it_makes_in_both_walks(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By them the time that is left is told."""
    one.submit(audit=True)
    drain_at(one, 5)
    heard = overheard(monkeypatch)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert {(report.steps, report.resumed_at) for report in heard if report.phase == "sample"} == {(2 * STEPS, 5)}
    assert {(report.steps, report.resumed_at) for report in heard if report.phase == "audit"} == {(2 * STEPS, 5)}


def test_an_audit_of_a_resumed_job_measures_the_whole_video(one: OneWorker) -> None:
    one.submit(seed=1, **AUTO)
    one.run()
    job_id = one.submit(**AUTO | {"audit": True})
    drain_at(one, 5)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    made = one.manifest(job_id)
    assert made.audit is not None
    assert made.audit.full_nfe == 2 * STEPS
    assert made.resumed_at_steps == (5,)


def test_an_ending_tells_the_audit_and_what_fidelity_was_asked_for(one: OneWorker) -> None:
    job_id = one.submit(acceleration="auto", fidelity_db=30.0, audit=True)
    ending = one.run()
    assert ending.audit == one.manifest(job_id).audit
    assert ending.audit is not None
    assert ending.asked_db == 30.0


def test_a_worker_that_begins_sweeps_up_after_jobs_that_ended_in_the_queue(tmp_path: Path) -> None:
    queue, store = MemoryQueue("small", QueueLimits()), FolderStore(tmp_path)
    room = CheckpointRoom(store, "small")
    waiting, cancelled, forgotten = (queue.submit(VideoJob(prompt="a red circle")).job_id for _ in range(3))
    week_us = int(checkpoints.FORGOTTEN_S * 1e6)
    for job_id in (waiting, cancelled, forgotten, "of-another-redis"):
        room.put(job_id, 7, b"blob")
    room.put("of-another-redis", week_us + 7, b"blob")
    CheckpointRoom(store, "large").put(forgotten, 7, b"of another model")
    queue.cancel(cancelled)
    queue.cancel(forgotten)
    queue.forget(forgotten)
    sweep(store, "small", queue, clock=lambda: 2 * checkpoints.FORGOTTEN_S)
    assert room.job_ids() == {waiting, "of-another-redis"}
    sweep(store, "small", queue, clock=lambda: 2 * checkpoints.FORGOTTEN_S + 1)
    assert room.job_ids() == {waiting}, "nobody has tried for a week"
    assert CheckpointRoom(store, "large").job_ids() == {forgotten}


@pytest.mark.parametrize("stray", ["read me.txt", "a.safetensors", "_/7.safetensors"])
def test_what_others_put_among_the_checkpoints_keeps_no_worker_from_beginning(tmp_path: Path, stray: str) -> None:
    queue, store = MemoryQueue("small", QueueLimits()), FolderStore(tmp_path)
    store.put_bytes(f"checkpoints/small/{stray}", b"", "text/plain")
    cancelled = queue.submit(VideoJob(prompt="a red circle")).job_id
    CheckpointRoom(store, "small").put(cancelled, 7, b"blob")
    queue.cancel(cancelled)
    sweep(store, "small", queue)
    assert list(store.list("checkpoints/")) == [f"checkpoints/small/{stray}"]
