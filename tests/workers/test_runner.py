"""The story of one job, and every way it can end. Each job has one end, and only a success leaves objects."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from one_worker import LEASE_S, STEPS, FollowedRunner, OneWorker, at, overheard
from waiting import wait_for

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import (
    DeviceLost,
    Draining,
    InvalidInput,
    InvalidOutput,
    JobCancelled,
    OutOfMemory,
    StorageFailed,
)
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.seed import seed_of
from fastflow_ray.jobs.states import JobState
from fastflow_ray.media.frames import frames_sha256
from fastflow_ray.media.video import read_video
from fastflow_ray.models.engine import Engine, Generation, StepReport
from fastflow_ray.queue.contract import Claim
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.recipe import Recipe
from fastflow_ray.storage.seal import sealed
from workers.ending import Ending, Fate
from workers.lease_keeper import LeaseKeeper


def test_a_job_becomes_one_published_video(one: OneWorker) -> None:
    job_id = one.submit()
    ending = one.run()
    assert ending.fate is Fate.SUCCEEDED
    assert set(ending.phase_s) == {"text_encode", "sample", "decode", "encode", "upload"}
    record, made = one.record(job_id), one.manifest(job_id)
    assert record.state is JobState.SUCCEEDED
    assert record.result == made.model_dump(mode="json")
    assert one.objects() == sorted([f"jobs/{job_id}/result.json", *(file.key for file in made.files.values())])
    assert (made.worker, made.attempt, made.seed, made.revision) == ("worker-1", 1, 7, one.engine.revision)
    assert (made.evaluations.made, made.evaluations.skipped) == (STEPS, 0), "the first run of a key evaluates all"
    assert made.evaluations.nfe == made.evaluations.baseline_nfe == 2 * STEPS


def test_the_published_file_is_the_video_that_was_made(one: OneWorker, tmp_path: Path) -> None:
    job_id = one.submit(guidance=1.0)
    one.run()
    files = one.manifest(job_id).files
    assert {name: file.content_type for name, file in files.items()} == {
        "video": "video/mp4", "thumbnail": "image/png", "spritesheet": "image/png",
    }  # fmt: skip
    file = files["video"]
    content = one.store.get_bytes(file.key)
    assert content is not None
    assert hashlib.sha256(content).hexdigest() == file.sha256
    (tmp_path / "fetched.mp4").write_bytes(content)
    assert read_video(tmp_path / "fetched.mp4").shape == (5, 16, 32, 3)


def test_what_jobs_teach_lets_the_later_ones_skip(one: OneWorker) -> None:
    skipped = []
    for seed in range(5):
        one.submit(seed=seed)
        ending = one.run()
        assert ending.evaluations is not None
        skipped.append(ending.evaluations.skipped)
        assert ending.evaluations.nfe == 2 * ending.evaluations.made
    assert skipped[0] == 0
    assert skipped[-1] > 0
    (key,) = one.ledger.statistics.tables
    wait_for(lambda: one.ledger.statistics.runs(key) == 5)


def test_a_speedup_is_kept_and_the_result_tells_what_came_of_it(one: OneWorker) -> None:
    ids = [one.submit(seed=seed, acceleration="auto", speedup=2.4, audit=seed == 8) for seed in (7, 8)]
    for _ in ids:
        one.run()
    first, second = (one.manifest(job_id) for job_id in ids)
    assert (first.evaluations.planned, first.evaluations.skipped) == (STEPS, 0), "the first one is to learn from"
    done = second.evaluations
    assert (done.planned, done.added, done.made, done.skipped, done.nfe) == (5, 0, 5, 7, 10)
    assert second.model_dump(mode="json")["pace"] == {"speedup": 2.4}
    assert second.plan is not None
    assert second.plan["evaluated"] == list(second.evaluated_steps)
    assert second.audit is not None


@pytest.mark.parametrize("pace", [{"evaluations": 5}, {"speedup": 1.5}, {"preset": "fast"}, {}])
def test_the_result_alone_makes_the_same_frames_again(
    one: OneWorker, small_engine: Engine, pace: dict[str, Any]
) -> None:
    ids = [one.submit(seed=seed, acceleration="auto", audit=False, **pace) for seed in range(4)]
    for job_id in ids:
        one.run()
        recipe = Recipe.read(one.store.get_bytes(f"jobs/{job_id}/result.json"))
        assert recipe.spec() == Recipe.read(one.record(job_id).result).spec(), "by way of the queue nothing is lost"
        again = small_engine.generate(recipe.spec(), FastFlow(), lambda report: None)
        assert frames_sha256(again.frames) == recipe.frames_sha256
        assert again.trace.evaluated == list(one.manifest(job_id).evaluated_steps)
    if "preset" not in pace and pace:
        assert again.trace.skipped > 0


def test_a_job_that_asks_for_nothing_gets_the_default_speedup(one: OneWorker) -> None:
    ids = [one.submit(seed=seed, acceleration="auto") for seed in range(3)]
    for job_id in ids:
        assert one.run().fate is Fate.SUCCEEDED
        made = one.manifest(job_id)
        assert made.model_dump(mode="json")["pace"] == {"speedup": 2.6}
        assert made.evaluations.made == made.evaluations.planned + made.evaluations.added


def test_what_the_trace_tells_is_published(one: OneWorker) -> None:
    def note(made: Generation) -> None:
        made.trace.expected_db, made.trace.snapshot, made.trace.added = 41.5, "3f2a", [5]

    one.engine.annotate = note
    job_id = one.submit(acceleration="auto", evaluations=STEPS)
    one.run()
    made = one.manifest(job_id)
    assert (made.expected_fidelity_db, made.snapshot) == (41.5, "3f2a")
    assert (made.evaluations.planned, made.evaluations.added, made.evaluations.made) == (STEPS - 1, 1, STEPS)
    one.engine.annotate = lambda made: setattr(made.trace, "expected_db", math.inf)
    job_id = one.submit(acceleration="auto", evaluations=STEPS)
    one.run()
    assert one.manifest(job_id).expected_fidelity_db is None


def test_acceleration_that_cannot_be_had_is_an_error_and_no_full_run(one: OneWorker, small_engine: Engine) -> None:
    pipe = small_engine._pipe  # type: ignore[attr-defined]  # of the one engine there is
    own, pipe.scheduler = pipe.scheduler, DDIMScheduler()
    try:
        job_id = one.submit(acceleration="auto", speedup=2.0)
        assert one.run().fate is Fate.DEAD
    finally:
        pipe.scheduler = own
    record = one.record(job_id)
    assert (record.state, record.attempts) == (JobState.DEAD, 1)
    assert record.error is not None
    assert record.error["code"] == "invalid_input"
    assert "DDIMScheduler does not integrate a deterministic flow" in record.error["message"]
    assert not one.objects()


def test_more_evaluations_than_steps_are_for_no_worker(one: OneWorker) -> None:
    job_id = one.submit(acceleration="auto", evaluations=STEPS + 1)
    assert one.run().fate is Fate.DEAD
    assert "ask for 2 to 12" in str(one.record(job_id).error)
    assert not one.engine.reports


def test_without_acceleration_every_step_is_evaluated_and_nothing_is_learnt(one: OneWorker) -> None:
    for _ in range(3):
        one.submit(acceleration="off")
        ending = one.run()
        assert ending.evaluations is not None
        assert ending.evaluations.skipped == 0
    assert one.feed.close()
    assert not one.ledger.statistics.tables


def test_an_audit_compares_the_same_seed_run_in_full(one: OneWorker) -> None:
    ids = [one.submit(seed=seed, audit=seed == 4) for seed in range(5)]
    for _ in ids:
        one.run()
    made = one.manifest(ids[-1])
    assert made.audit is not None
    assert made.audit.full_nfe == 2 * STEPS
    assert 0.0 < made.audit.ssim <= 1.0
    assert made.audit.full_sample_s > 0.0
    assert made.evaluations.skipped > 0
    assert made.audit.psnr_db is not None
    assert 5 < made.audit.psnr_db < 120
    steps = [beat.step for beat in one.queue.beats[-50:] if beat and beat.steps == 2 * STEPS]
    assert steps == sorted(steps)
    assert one.record(ids[-1]).progress.steps == 2 * STEPS


def test_the_fleets_own_audit_is_published_and_never_goes_back(one: OneWorker) -> None:
    nfe = []
    for seed in range(6):
        job_id, before = one.submit(seed=seed, acceleration="auto", evaluations=5), len(one.queue.beats)
        one.run()
        audit = one.manifest(job_id).audit
        nfe.append(audit.nfe if audit else 0)
        steps = [beat.step for beat in one.queue.beats[before:] if beat and beat.phase in ("sample", "audit")]
        assert steps == sorted(steps)
        assert one.record(job_id).progress.step == one.record(job_id).progress.steps
    assert nfe[0] == 0
    assert nfe[1] >= 2 * STEPS, "as soon as there is anything to try, though nobody asked"
    assert max(nfe) >= 2 * (STEPS + 5), "the full run, and a rival at least"


def test_while_its_audit_runs_a_videos_own_steps_stay_as_they_were(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = overheard(monkeypatch)
    for seed in range(2):
        job_id = one.submit(seed=seed, acceleration="auto", evaluations=5)
        one.run()
    done = one.manifest(job_id).evaluations
    audited = [report for report in heard if report.phase == "audit"]
    assert {(report.evaluated, report.skipped) for report in audited} == {(done.made, done.skipped)}
    assert {report.own_steps for report in heard if report.steps} == {STEPS}
    assert one.record(job_id).progress.own_steps == STEPS


def test_a_job_that_comes_without_a_seed_gets_the_same_one_in_every_attempt(one: OneWorker) -> None:
    job_id = one.submit()
    claim = one.claim()
    one.run(replace(claim, payload=claim.payload.replace('"seed":7,', "")))
    assert one.manifest(job_id).seed == seed_of(job_id)
    assert seed_of(job_id) == seed_of(job_id) != seed_of("another")


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (DeviceLost("the device is lost; go on elsewhere"), JobState.DELAYED, "device_lost"),
        (StorageFailed("the disk is full; make room"), JobState.DELAYED, "storage"),
        (ZeroDivisionError("a defect"), JobState.DELAYED, "internal"),
        (InvalidInput("the size is wrong; use another"), JobState.DEAD, "invalid_input"),
        (InvalidOutput("NaN; try another seed"), JobState.DEAD, "invalid_output"),
        (OutOfMemory("no room; use a smaller size"), JobState.DEAD, "oom"),
    ],
)
def test_the_class_of_an_error_decides_whether_there_is_another_attempt(
    one: OneWorker, error: Exception, state: JobState, code: str
) -> None:
    def fail(report: object, on_step: object) -> None:
        raise error

    one.engine.interfere = fail
    job_id = one.submit()
    ending = one.run()
    record = one.record(job_id)
    assert (record.state, ending.reason) == (state, code)
    assert record.error is not None
    assert record.error["code"] == code
    assert str(error) in record.error["message"]
    assert not one.objects()


def test_a_defect_is_logged_with_its_place_and_the_next_job_runs(
    one: OneWorker, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(report: object, on_step: object) -> None:
        raise ZeroDivisionError("a defect")

    one.engine.interfere = fail
    one.submit()
    one.run()
    assert "ZeroDivisionError" in caplog.text
    assert "test_runner.py" in caplog.text
    one.engine.interfere = lambda report, on_step: None
    one.submit(seed=8)
    assert one.run().fate is Fate.SUCCEEDED


def test_a_failed_job_teaches_nothing_here_or_there(one: OneWorker) -> None:
    def fail_late(report: Any, on_step: object) -> None:
        if report.step == STEPS - 1:
            raise OutOfMemory("no room; use a smaller size")

    one.submit()
    one.run()
    taught = learnt(one)
    one.engine.interfere = fail_late
    one.submit(seed=8)
    assert one.run().fate is Fate.DEAD
    assert learnt(one) == taught


def learnt(worker: OneWorker) -> str:
    """What the worker decides from, which is all that the fleet was told."""
    known = worker.runner._informed().statistics.to_json()
    wait_for(lambda: worker.ledger.statistics.to_json() == known)
    return known


AUTO = {"acceleration": "auto", "evaluations": 5}


@pytest.fixture
def twin(one: OneWorker, tmp_path: Path) -> Iterator[OneWorker]:
    """A worker whose attempts do not fail, or learn nothing before they do; it has made one video, as `one` has."""
    worker = OneWorker(one.engine, tmp_path / "twin")
    for each in (one, worker):
        each.submit(seed=1, **AUTO)
        each.run()
    yield worker
    worker.executor.close()
    assert worker.feed.close()


def test_a_video_whose_audit_ran_out_of_memory_teaches_once(one: OneWorker, twin: OneWorker) -> None:
    for worker, walks in ((one, 3), (twin, 1)):  # in the first rival's walk, when the full run has been learnt from

        def run_out(report: Any, on_step: object, walks: int = walks) -> None:
            if not one.engine.specs[-1].frugal and len(one.engine.specs) == walks:
                raise OutOfMemory("no room; use a smaller size")

        one.engine.specs.clear()
        one.engine.interfere = run_out
        job_id = worker.submit(**AUTO)
        assert worker.run().fate is Fate.SUCCEEDED
        assert worker.manifest(job_id).economies
    assert learnt(one) == learnt(twin)


@pytest.mark.parametrize(("is_away", "fate"), [(False, Fate.RETRIED), (True, Fate.RELEASED)])
@pytest.mark.parametrize("pace", [AUTO, {"acceleration": "fastflow"}])
def test_a_video_that_is_made_again_for_it_was_not_kept_teaches_once(
    one: OneWorker, twin: OneWorker, monkeypatch: pytest.MonkeyPatch, pace: dict[str, Any], is_away: bool, fate: Fate
) -> None:
    def refuse(*arguments: object) -> None:
        raise StorageFailed("the disk is full; make room")

    with monkeypatch.context() as patched:
        patched.setattr(one.store, "put_file", refuse)
        patched.setattr(one.followed.watch, "is_to_blame", lambda on_progress: is_away)
        one.submit(**pace)
        before = learnt(one)
        assert one.run().fate is fate
        assert learnt(one) == before
    one.clock.now_s += LEASE_S
    assert one.run().fate is Fate.SUCCEEDED
    twin.submit(**pace)
    twin.run()
    assert learnt(one) == learnt(twin) != before


def test_of_two_attempts_that_make_one_video_the_one_that_is_published_teaches(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, put_file = FollowedRunner(one.queue, one.store, one.engine, one.feed, threading.Event()), one.store.put_file
    endings: list[Ending] = []

    def put_after_another(*file: Any) -> None:
        monkeypatch.setattr(one.store, "put_file", put_file)
        endings.append(other.run(one.lose_the_lease()))
        put_file(*file)

    monkeypatch.setattr(one.store, "put_file", put_after_another)
    one.submit(**AUTO)
    assert one.run().fate is Fate.LOST
    assert [ending.fate for ending in endings] == [Fate.SUCCEEDED]
    (table,) = Statistics.from_json(learnt(one)).trajectories.values()
    assert table.runs == 1
    other.executor.close()


def test_a_video_that_stands_has_taught_though_another_attempt_completes_its_job(one: OneWorker) -> None:
    one.submit(**AUTO)
    others: list[Claim] = []
    one.store.after_manifest = lambda: others.append(one.lose_the_lease())
    assert one.run().fate is Fate.LOST
    assert one.run(others[0]).fate is Fate.SUCCEEDED
    (table,) = Statistics.from_json(learnt(one)).trajectories.values()
    assert table.runs == 1


def test_memory_that_does_not_suffice_gets_a_second_frugal_try_in_the_same_attempt(one: OneWorker) -> None:
    def run_out_once(report: Any, on_step: object) -> None:
        if report.step == 5 and not one.engine.specs[-1].frugal:
            raise OutOfMemory("no room; use a smaller size")

    one.engine.interfere = run_out_once
    first, second = one.submit(), one.submit(seed=8, acceleration="off")
    assert one.run().fate is Fate.SUCCEEDED
    assert one.record(first).attempts == 1
    assert one.manifest(first).economies == ("tiling",), "on a CPU there is no device to leave"
    assert Recipe.read(one.record(first).result).economies == ("tiling",)
    one.engine.interfere = lambda report, on_step: None
    one.run()
    assert one.manifest(second).economies == (), "the next job has all the room there is"


def test_memory_that_never_suffices_is_tried_twice_and_the_worker_lives(one: OneWorker) -> None:
    def run_out(report: Any, on_step: object) -> None:
        if report.step == 5:
            raise OutOfMemory("no room; use a smaller size")

    one.engine.interfere = run_out
    job_id = one.submit()
    assert one.run().fate is Fate.DEAD
    assert [spec.frugal for spec in one.engine.specs] == [False, True]
    assert one.record(job_id).error == {"code": "oom", "message": "no room; use a smaller size"}
    one.engine.interfere = lambda report, on_step: None
    one.submit(seed=8)
    assert one.run().fate is Fate.SUCCEEDED


@pytest.mark.parametrize("error", [JobCancelled("enough"), ZeroDivisionError("a defect"), Draining("away")])
def test_what_ends_early_gives_its_memory_back(one: OneWorker, error: Exception) -> None:
    def fail(report: object, on_step: object) -> None:
        raise error

    one.submit()
    one.run()
    assert one.engine.frees == 0, "a video that was made holds nothing"
    one.engine.interfere = fail
    one.submit(seed=8)
    one.run()
    assert one.engine.frees == 1


def test_a_network_gone_wrong_is_never_published(one: OneWorker, small_engine: Engine) -> None:
    bias = small_engine._pipe.transformer.proj_out.bias  # type: ignore[attr-defined]  # of the one engine there is
    kept = bias.detach().clone()
    with torch.no_grad():
        bias.fill_(np.nan)
    try:
        job_id = one.submit()
        one.run()
    finally:
        with torch.no_grad():
            bias.copy_(kept)
    assert one.record(job_id).state is JobState.DEAD
    assert not one.objects()


def test_a_job_of_another_model_is_not_made_by_this_one(one: OneWorker) -> None:
    job_id = one.submit(model="shapes")
    one.run()
    assert one.record(job_id).state is JobState.DEAD
    assert not one.engine.reports


@pytest.mark.parametrize("step", [1, 5])
def test_a_cancelled_job_stops_at_the_next_step(one: OneWorker, step: int) -> None:
    job_id = one.submit()
    one.engine.interfere = at("sample", step, lambda: one.queue.cancel(job_id))
    ending = one.run()
    assert (ending.fate, ending.reason) == (Fate.CANCELLED, "cancelled")
    assert one.record(job_id).state is JobState.CANCELLED
    assert one.engine.reports[-1].step == step
    assert not one.objects()


def test_how_long_a_cancellation_took_is_measured_from_the_wish_to_the_end(one: OneWorker) -> None:
    def cancel_and_let_time_pass() -> None:
        one.queue.cancel(job_id)
        one.clock.now_s += 2.5

    job_id = one.submit()
    one.engine.interfere = at("sample", 3, cancel_and_let_time_pass)
    assert one.run().cancel_s == 2.5
    one.engine.interfere = lambda report, on_step: None
    one.submit(seed=8)
    assert one.run().cancel_s is None


def test_a_job_whose_lease_is_lost_is_left_alone(one: OneWorker) -> None:
    job_id = one.submit()
    one.engine.interfere = at("sample", 5, one.lose_the_lease)
    ending = one.run()
    assert (ending.fate, ending.fenced) == (Fate.LOST, False)
    assert one.engine.reports[-1].step == 5
    record = one.record(job_id)
    assert (record.state, record.worker) == (JobState.RUNNING, "worker-2")
    assert not one.objects()


def test_what_a_lost_attempt_uploaded_is_deleted_and_the_winner_stays(one: OneWorker, tmp_path: Path) -> None:
    job_id = one.submit()
    lost = one.claim()
    prefix = f"jobs/{job_id}/{lost.fence}/"
    one.engine.interfere = at("sample", 5, lambda: (one.store.put_bytes(prefix + "x", b"x", "text/plain"), take_over()))

    def take_over() -> None:
        one.store.put_bytes(f"jobs/{job_id}/{one.lose_the_lease().fence}/y", b"y", "text/plain")

    assert one.run(lost).fate is Fate.LOST
    (left,) = one.objects()
    assert left.endswith("/y")
    assert not left.startswith(prefix)


def test_every_frame_encoded_and_every_part_sent_or_read_back_is_a_sign_of_life(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_step, phases = LeaseKeeper.on_step, Counter[str]()

    def heard(lease: LeaseKeeper, report: StepReport) -> None:
        phases[report.phase] += 1
        on_step(lease, report)

    monkeypatch.setattr(LeaseKeeper, "on_step", heard)
    one.submit()
    assert one.run().fate is Fate.SUCCEEDED
    assert phases["encode"] == 2 + 5, "before the thread took it and in it, and five frames"
    assert phases["upload"] == 1 + 3 * 4, "of each file: before it goes, as it goes, before it comes back, as it comes"


def test_a_job_that_is_lost_as_it_is_uploaded_sends_no_more_of_it(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_file, sent = one.store.put_file, []

    def put_and_lose(key: str, *file: Any) -> None:
        put_file(key, *file)
        if not sent:
            one.lose_the_lease()
            wait_for(lambda: f"lease-{job_id}" not in {thread.name for thread in threading.enumerate()})
        sent.append(key)

    monkeypatch.setattr(one.store, "put_file", put_and_lose)
    job_id = one.submit()
    assert one.run().fate is Fate.LOST
    assert len(sent) == 1
    assert not one.objects()


@pytest.mark.parametrize("published", [False, True])
def test_what_killed_attempts_uploaded_goes_when_another_completes(one: OneWorker, published: bool) -> None:
    job_id, others = one.submit(), []
    claim = one.claim()
    left = f"jobs/{job_id}/{claim.fence - 1}/video.mp4"
    one.store.put_bytes(left, b"all there is of it", "video/mp4")
    if published:
        one.store.after_manifest = lambda: others.append(one.lose_the_lease())
        assert one.run(claim).fate is Fate.LOST
        assert left in one.objects(), "who lost the job leaves everything to the next one"
    assert one.run(*others or [claim]).fate is Fate.SUCCEEDED
    made = one.manifest(job_id)
    assert one.objects() == sorted([f"jobs/{job_id}/result.json", *(file.key for file in made.files.values())])


def test_a_store_that_deletes_nothing_costs_no_job(
    one: OneWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise StorageFailed("the bucket says no; ask its owner")

    monkeypatch.setattr(one.store, "delete_prefix", refuse)
    job_id = one.submit()
    assert one.run().fate is Fate.SUCCEEDED
    assert f"! {job_id} keeps what dead attempts left behind: the bucket says no" in caplog.text


def test_a_published_job_is_completed_without_being_made_again(one: OneWorker) -> None:
    job_id, others = one.submit(), []
    one.store.after_manifest = lambda: others.append(one.lose_the_lease())
    ending = one.run()
    assert (ending.fate, ending.fenced) == (Fate.LOST, True)
    published = one.manifest(job_id)
    one.engine.reports.clear()
    ending = one.run(others[0])
    assert (ending.fate, ending.evaluations, ending.phase_s) == (Fate.SUCCEEDED, None, {})
    assert ending.published_bytes == 0
    assert not one.engine.reports
    assert one.record(job_id).result == published.model_dump(mode="json")
    assert published.fence < others[0].fence
    assert one.manifest(job_id) == published


def test_a_key_used_again_when_the_queue_has_forgotten_it_finds_the_video_in_the_store(one: OneWorker) -> None:
    job_id = one.submit("monday", seed=None)
    one.run()
    published = one.manifest(job_id)
    one.clock.now_s += QueueLimits().result_ttl_s
    assert one.submit("monday", seed=None) == job_id
    one.engine.reports.clear()
    assert one.run().fate is Fate.SUCCEEDED
    assert not one.engine.reports
    assert one.record(job_id).result == published.model_dump(mode="json")


def test_a_forgotten_key_never_passes_off_its_old_video_as_another(one: OneWorker) -> None:
    job_id = one.submit("monday")
    one.run()
    published = one.manifest(job_id)
    one.clock.now_s += QueueLimits().result_ttl_s
    assert one.submit("monday", prompt="a blue square") == job_id
    assert one.run().fate is Fate.DEAD
    record = one.record(job_id)
    assert record.result is None
    assert record.error is not None
    assert record.error["code"] == "invalid_input"
    assert "use a new key for a new video" in record.error["message"]
    assert one.manifest(job_id) == published


def test_a_leaving_worker_gives_the_job_back_and_the_attempt_does_not_count(one: OneWorker) -> None:
    job_id = one.submit()
    one.engine.interfere = at("sample", 5, one.draining.set)
    assert one.run().fate is Fate.RELEASED
    record = one.record(job_id)
    assert (record.state, record.attempts) == (JobState.QUEUED, 0)
    assert [key.split("/")[0] for key in one.objects()] == ["checkpoints"]


def test_a_leaving_worker_finishes_what_is_nearly_done(one: OneWorker) -> None:
    def drain(report: Any, on_step: object) -> None:
        if report.phase == "decode":
            one.draining.set()

    one.engine.interfere = drain
    one.submit()
    assert one.run().fate is Fate.SUCCEEDED


def test_a_manifest_that_was_cut_off_costs_a_job_nothing_but_the_work(one: OneWorker) -> None:
    job_id = one.submit()
    one.store.put_bytes(f"jobs/{job_id}/result.json", b'{"schema_version": 1', "application/json")
    assert one.run().fate is Fate.SUCCEEDED
    made = one.manifest(job_id)
    assert one.record(job_id).result == made.model_dump(mode="json")
    assert {key for key in one.objects() if not key.endswith(".json")} == {file.key for file in made.files.values()}


def test_a_manifest_of_a_newer_version_is_left_to_workers_that_can_read_it(one: OneWorker) -> None:
    job_id = one.submit()
    one.store.put_bytes(f"jobs/{job_id}/result.json", sealed({"schema_version": 2}), "application/json")
    ending = one.run()
    assert (ending.fate, ending.reason) == (Fate.RETRIED, "storage")
    assert "its version is 2, and this program reads 1; upgrade, or delete it" in ending.message
    assert one.objects() == [f"jobs/{job_id}/result.json"]
    assert not one.engine.reports, "nothing was made"


def test_a_completion_waits_for_the_queue_to_come_back(one: OneWorker) -> None:
    job_id = one.submit()
    one.store.after_manifest = lambda: setattr(one.queue, "unreachable", 2)
    assert one.run().fate is Fate.SUCCEEDED
    assert one.record(job_id).state is JobState.SUCCEEDED


def test_a_queue_away_for_longer_than_the_lease_leaves_the_end_to_the_next_attempt(one: OneWorker) -> None:
    job_id = one.submit()
    one.store.after_manifest = lambda: setattr(one.queue, "unreachable", 1_000_000)
    ending = one.run(one.claim(lease_s=0.01))
    assert ending.fate is Fate.UNKNOWN
    one.queue.unreachable = 0
    one.store.after_manifest = lambda: None
    one.engine.reports.clear()
    one.clock.now_s += LEASE_S
    assert one.queue.requeue(one.queue.expired()[0])
    assert one.run().fate is Fate.SUCCEEDED
    assert not one.engine.reports
    assert one.record(job_id).state is JobState.SUCCEEDED


def test_the_log_tells_the_story(one: OneWorker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    job_id = one.submit()
    one.run()
    first, last = (record.getMessage() for record in caplog.records if record.name == "workers.runner")
    assert first == f"-> {job_id} attempt 1"
    assert last.startswith(f"<- {job_id} attempt 1: done in ")
    assert last.endswith("12 of 12 steps evaluated, 24 of 24 network runs")
