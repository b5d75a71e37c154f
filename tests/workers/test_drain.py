"""A worker that has to leave: its job is published or given back within a step, whatever it is at; nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from one_worker import STEPS, FollowedRunner, OneWorker

from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import OnStep, StepReport
from workers.arm_feed import ArmFeed
from workers.ending import Ending, Fate

AUTO = {"acceleration": "auto", "evaluations": 5}
Place = tuple[str, int, int]  # phase, step, and which walk of the job's seed; those after the first are its audit


@pytest.fixture
def twin(one: OneWorker, tmp_path: Path) -> Iterator[OneWorker]:
    """A worker whom nobody asks to leave, with a queue and statistics of its own."""
    worker = OneWorker(one.engine, tmp_path / "twin")
    yield worker
    worker.executor.close()
    assert worker.feed.close()


def drain_in(one: OneWorker, place: Place) -> tuple[Ending, list[StepReport]]:
    """How a job's attempt ends when the worker is asked to leave there, and what the engine reports from then on."""
    since: list[StepReport] = []

    def notice(report: StepReport, on_step: OnStep) -> None:
        if (report.phase, report.step, len(one.engine.specs)) == place:
            one.draining.set()
        if one.draining.is_set():
            since.append(report)

    one.engine.specs.clear()
    one.engine.interfere = notice
    ending = one.run()
    one.engine.interfere = lambda report, on_step: None
    return ending, since


def finish_elsewhere(one: OneWorker) -> Ending:
    """By another worker of the same queue and store, which has learnt nothing but what the fleet tells it."""
    feed = ArmFeed(one.ledger, "worker-2")
    followed = FollowedRunner(one.queue, one.store, one.engine, feed, threading.Event())
    try:
        return followed.run(one.claim("worker-2"))
    finally:
        followed.executor.close()
        assert feed.close()


def learnt(worker: OneWorker) -> str:
    """All that reached the fleet; the worker reports no more."""
    assert worker.feed.close()
    return worker.ledger.statistics.to_json()


def assert_given_back(one: OneWorker, job_id: str) -> None:
    record = one.record(job_id)
    assert (record.state, record.attempts, record.crashes) == (JobState.QUEUED, 0, 0)


@pytest.mark.parametrize("place", [("text_encode", 0, 1), *(("sample", step, 1) for step in (0, 1, 5, STEPS - 1))])
def test_a_video_in_the_making_is_given_back_when_the_step_under_way_ends(one: OneWorker, place: Place) -> None:
    job_id = one.submit()
    ending, since = drain_in(one, place)
    assert ending.fate is Fate.RELEASED
    assert [(report.phase, report.step) for report in since] == [place[:2]], "no step begins after the notice"
    assert_given_back(one, job_id)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    assert one.manifest(job_id).resumed_at_steps == ((place[1],) if place[1] else ())


@pytest.mark.parametrize("place", [("sample", STEPS, 1), ("decode", STEPS, 1)])
def test_a_video_whose_steps_are_made_is_published(one: OneWorker, place: Place) -> None:
    job_id = one.submit()
    ending, since = drain_in(one, place)
    assert ending.fate is Fate.SUCCEEDED
    assert {report.step for report in since} == {STEPS}
    assert (one.record(job_id).state, one.record(job_id).crashes) == (JobState.SUCCEEDED, 0)


def test_a_video_that_is_being_uploaded_is_published(one: OneWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    put_file = one.store.put_file

    def put_and_drain(*file: Any) -> None:
        one.draining.set()
        put_file(*file)

    monkeypatch.setattr(one.store, "put_file", put_and_drain)
    job_id = one.submit()
    assert one.run().fate is Fate.SUCCEEDED
    assert one.record(job_id).result == one.manifest(job_id).model_dump(mode="json")


@pytest.mark.parametrize("place", [("decode", STEPS, 1), ("text_encode", 0, 2), ("sample", 5, 2)])
def test_an_audit_that_nobody_asked_for_is_given_up_and_its_video_published(
    one: OneWorker, twin: OneWorker, place: Place
) -> None:
    for worker in (one, twin):
        worker.submit(seed=1, **AUTO)
        worker.run()
    job_id = one.submit(seed=2, **AUTO)
    ending, since = drain_in(one, place)
    assert len(one.engine.specs) == 2, "the audit had begun"
    assert ending.fate is Fate.SUCCEEDED
    assert len([report for report in since if report.phase == "sample"]) <= 1
    made = one.manifest(job_id)
    assert made.audit is None
    assert made.evaluations.skipped > 0
    twin.submit(seed=2, audit=False, **AUTO)
    twin.run()
    assert learnt(one) == learnt(twin), "it taught what a video without an audit teaches"


@pytest.mark.parametrize(
    ("place", "acceleration"),
    [
        (("sample", STEPS, 1), AUTO),
        (("decode", STEPS, 1), {"acceleration": "fastflow"}),
        (("text_encode", 0, 2), AUTO),
        (("sample", 5, 2), {"acceleration": "fastflow"}),
    ],
)
def test_an_audit_that_was_asked_for_is_held_elsewhere_on_the_video_as_it_was(
    one: OneWorker, twin: OneWorker, place: Place, acceleration: dict[str, Any]
) -> None:
    for worker in (one, twin):
        worker.submit(seed=1, **acceleration, audit=False)
        worker.run()
    job_id = one.submit(**acceleration, audit=True)
    ending, since = drain_in(one, place)
    assert ending.fate is Fate.RELEASED
    assert [(report.phase, report.step) for report in since] == [place[:2]], "no step begins after the notice"
    assert_given_back(one, job_id)
    assert finish_elsewhere(one).fate is Fate.SUCCEEDED
    whole_id = twin.submit(**acceleration, audit=True)
    twin.run()
    made, whole = one.manifest(job_id), twin.manifest(whole_id)
    assert made.audit is not None
    assert whole.audit is not None
    assert (made.resumed_at_steps, whole.resumed_at_steps) == ((STEPS - 1,), ())
    assert made.frames_sha256 == whole.frames_sha256
    assert (made.audit.psnr_db, made.audit.full_nfe) == (whole.audit.psnr_db, 2 * STEPS)
    assert acceleration is AUTO or learnt(one) == learnt(twin), "told once; only who walked all of it is on trial"


@pytest.mark.parametrize("place", [("sample", STEPS, 2), ("decode", STEPS, 2)])
def test_an_audit_whose_steps_are_made_is_published(one: OneWorker, place: Place) -> None:
    job_id = one.submit(audit=True)
    ending, since = drain_in(one, place)
    assert ending.fate is Fate.SUCCEEDED
    assert {report.step for report in since} == {STEPS}
    assert one.manifest(job_id).audit is not None


@pytest.mark.parametrize("audit", [None, True])
def test_of_an_audit_that_walks_rivals_the_full_run_is_enough(one: OneWorker, audit: bool | None) -> None:
    for seed in range(6):
        job_id = one.submit(seed=seed, audit=audit, **AUTO)
        ending, since = drain_in(one, ("sample", 2, 3))
        assert ending.fate is Fate.SUCCEEDED
        if since:
            break
    assert [(report.phase, report.step) for report in since] == [("sample", 2)], "no step begins after the notice"
    made = one.manifest(job_id)
    assert made.audit is not None
    assert made.audit.nfe == made.audit.full_nfe == 2 * STEPS
