"""The lease keeper: beats while steps go on, is silent when they stand still, and tells the job to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic

import pytest
from one_worker import Clock, WatchedQueue
from waiting import wait_for

from fastflow_ray.errors import Draining, JobCancelled, LeaseLost
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.engine import StepReport
from fastflow_ray.queue.contract import Claim, Progress, Verdict
from workers.lease_keeper import LOADING_S, PAUSE_S, LeaseKeeper


@pytest.fixture
def queue() -> WatchedQueue:
    return WatchedQueue(Clock())


@pytest.fixture
def claim(queue: WatchedQueue) -> Claim:
    queue.submit(VideoJob(prompt="a red circle", model="small"))
    claim = queue.claim("worker-1", 60.0)
    assert claim is not None
    return claim


@contextmanager
def beating(lease: LeaseKeeper) -> Iterator[LeaseKeeper]:
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()


def keeper(
    queue: WatchedQueue, claim: Claim, beat_s: float = 0.01, clock: Clock | None = None
) -> AbstractContextManager[LeaseKeeper]:
    return beating(LeaseKeeper(queue, claim, threading.Event(), beat_s, stall_s=300.0, clock=clock or Clock()))


def falls_silent(queue: WatchedQueue, clock: Clock) -> bool:
    """Whether no beat comes while the keeper looks at the clock many times."""
    looks = clock.looks
    wait_for(lambda: clock.looks > looks + 2)  # a beat may have been under way
    beats, looks = len(queue.beats), clock.looks
    wait_for(lambda: clock.looks > looks + 10)
    return len(queue.beats) == beats


def test_it_beats_inside_and_is_silent_outside(queue: WatchedQueue, claim: Claim) -> None:
    before = threading.active_count()
    with keeper(queue, claim):
        wait_for(lambda: len(queue.beats) >= 3)
    assert threading.active_count() == before


def test_a_beat_carries_the_latest_step(queue: WatchedQueue, claim: Claim) -> None:
    with keeper(queue, claim) as lease:
        lease.on_step(StepReport("sample", 7, 50, 4, 3))
        wait_for(lambda: (record := queue.get(claim.job_id)) and record.progress.step == 7)
    assert queue.beats[-1] == Progress("sample", 7, 50, 4, 3, None)


def test_the_time_left_follows_the_pace_of_sampling(queue: WatchedQueue, claim: Claim) -> None:
    clock = Clock()
    with keeper(queue, claim, clock=clock) as lease:
        lease.on_step(StepReport("text_encode", 0, 50))
        clock.now_s += 100.0  # slow text encoding says nothing about the steps
        lease.on_step(StepReport("sample", 0, 50))
        clock.now_s += 2.0
        lease.on_step(StepReport("sample", 10, 50, 6, 4))
        wait_for(lambda: queue.beats and queue.beats[-1] and queue.beats[-1].step == 10)
        assert queue.beats[-1] == Progress("sample", 10, 50, 6, 4, eta_s=8.0)
        lease.on_step(StepReport("audit", 60, 100, 56, 4))
        wait_for(lambda: queue.beats[-1] and queue.beats[-1].step == 60)
    assert queue.beats[-1] == Progress("audit", 60, 100, 56, 4, eta_s=None)  # nobody knows how many plans it will try


def test_of_a_job_that_is_to_be_audited_the_time_left_is_that_of_its_video(queue: WatchedQueue, claim: Claim) -> None:
    clock = Clock()
    with keeper(queue, claim, clock=clock) as lease:
        lease.on_step(StepReport("sample", 0, 100, audit_steps=50))
        clock.now_s += 2.0
        lease.on_step(StepReport("sample", 10, 100, 6, 4, audit_steps=50))
        wait_for(lambda: queue.beats and queue.beats[-1] and queue.beats[-1].step == 10)
        assert queue.beats[-1] == Progress("sample", 10, 100, 6, 4, eta_s=8.0, audit_steps=50)
        lease.on_step(StepReport("upload"))
        wait_for(lambda: queue.beats[-1] and queue.beats[-1].phase == "upload")
    assert queue.beats[-1] == Progress("upload", 10, 100, 6, 4, eta_s=0.0, audit_steps=50)


def test_the_last_phases_keep_what_sampling_did_on_the_display(queue: WatchedQueue, claim: Claim) -> None:
    with keeper(queue, claim) as lease:
        lease.on_step(StepReport("decode", 50, 50, 20, 30))
        lease.on_step(StepReport("upload"))
        wait_for(lambda: queue.beats and queue.beats[-1] and queue.beats[-1].phase == "upload")
    assert queue.beats[-1] == Progress("upload", 50, 50, 20, 30, eta_s=0.0)


def test_news_does_not_wait_for_the_beat_and_never_floods_the_queue(queue: WatchedQueue, claim: Claim) -> None:
    began_s = monotonic()
    with keeper(queue, claim, beat_s=3600.0) as lease:
        wait_for(lambda: lease.on_step(StepReport("sample", 1, 50)) or len(queue.beats) >= 2)
    assert len(queue.beats) <= (monotonic() - began_s) / PAUSE_S + 1


def test_a_step_counter_that_stands_still_silences_the_beat_until_it_moves_again(
    queue: WatchedQueue, claim: Claim
) -> None:
    clock = Clock()
    with keeper(queue, claim, clock=clock) as lease:
        wait_for(lambda: queue.beats)
        clock.now_s += 300.0
        assert falls_silent(queue, clock)
        beats = len(queue.beats)
        lease.on_step(StepReport("sample", 1, 50))
        wait_for(lambda: len(queue.beats) > beats)


def test_reading_a_model_may_take_longer_than_a_step(queue: WatchedQueue, claim: Claim) -> None:
    clock = Clock()
    with keeper(queue, claim, clock=clock) as lease:
        lease.on_step(StepReport("load"))
        clock.now_s += LOADING_S - 1
        assert not falls_silent(queue, clock)
        clock.now_s += 1
        assert falls_silent(queue, clock), "but not for ever"
        lease.on_step(StepReport("text_encode", 0, 50))
        clock.now_s += 300.0
        assert falls_silent(queue, clock)


@pytest.mark.parametrize("phase", ["load", "encode"])
def test_who_waits_for_another_moves_as_that_one_does(queue: WatchedQueue, claim: Claim, phase: str) -> None:
    clock = Clock()
    ahead = LeaseKeeper(queue, claim, threading.Event(), stall_s=300.0, clock=clock)
    with keeper(queue, claim, clock=clock) as lease:
        clock.now_s += 200.0
        ahead.on_step(StepReport("upload"))
        clock.now_s += 299.0
        lease.on_wait(StepReport(phase), ahead)
        assert not falls_silent(queue, clock), "it waits for one that works"
        clock.now_s += 1.0
        lease.on_wait(StepReport(phase), ahead)
        assert falls_silent(queue, clock), "it waits for one that hangs"


def test_a_defect_in_a_beat_is_told_and_ends_no_beating(
    queue: WatchedQueue, claim: Claim, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(claim: Claim, progress: Progress | None = None) -> Verdict:
        queue.beaten.append("in vain")
        raise ZeroDivisionError("a defect")

    with keeper(queue, claim):
        with monkeypatch.context() as broken:
            broken.setattr(queue, "heartbeat", stumble)
            wait_for(lambda: queue.beaten.count("in vain") >= 3)
        beats = len(queue.beats)
        wait_for(lambda: len(queue.beats) > beats)
    (record,) = [one for one in caplog.records if "cannot beat, will go on trying: a defect" in one.getMessage()]
    assert record.exc_info, "with its place"


def test_a_cancelled_job_is_told_at_its_next_step_and_keeps_its_lease(queue: WatchedQueue, claim: Claim) -> None:
    with keeper(queue, claim) as lease:
        queue.cancel(claim.job_id)
        with pytest.raises(JobCancelled, match="cancelled on request"):
            wait_for(lambda: lease.on_step(StepReport("decode", 50, 50)))
        beats = len(queue.beats)
        wait_for(lambda: len(queue.beats) > beats)


def test_a_lost_job_is_told_at_its_next_step_and_beaten_for_no_more(queue: WatchedQueue, claim: Claim) -> None:
    with keeper(queue, claim) as lease:
        assert queue.complete(claim, {})
        with pytest.raises(LeaseLost, match="given to another worker"):
            wait_for(lambda: lease.on_step(StepReport("upload")))
        wait_for(lambda: not any(thread.name == f"lease-{claim.job_id}" for thread in threading.enumerate()))


@pytest.mark.parametrize("phase", ["text_encode", "sample"])
def test_a_leaving_worker_is_told_at_its_next_step(queue: WatchedQueue, claim: Claim, phase: str) -> None:
    draining = threading.Event()
    with beating(LeaseKeeper(queue, claim, draining)) as lease:
        lease.on_step(StepReport(phase, 1, 50))
        draining.set()
        with pytest.raises(Draining):
            lease.on_step(StepReport(phase, 2, 50))
        lease.on_step(StepReport("decode", 50, 50))


def test_a_queue_out_of_reach_stops_nothing(
    queue: WatchedQueue, claim: Claim, caplog: pytest.LogCaptureFixture
) -> None:
    with keeper(queue, claim) as lease:
        wait_for(lambda: queue.beats)
        queue.unreachable = 5
        wait_for(lambda: queue.unreachable == 0)
        lease.on_step(StepReport("sample", 3, 50))
        beats = len(queue.beats)
        wait_for(lambda: len(queue.beats) > beats)
    assert [record.getMessage() for record in caplog.records].count(
        f"! {claim.job_id} cannot beat, will go on trying: the cable is out; put it back"
    ) == 1
