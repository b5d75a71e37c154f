"""Fault 8: workers are frozen until their job was done by another, then go on as if nothing had happened."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from checker import Violation
from crew import Crew
from final_state import Published, published_of
from hands import GRACE_S, LEASE_S
from mutants import NO_FENCE, mistake
from stage import Stage
from waiting import wait_for

from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.reaper import Reaper
from fastflow_ray.storage import Store, open_store

LATEST = 100  # jobs that may not have ended; by the time that more are read, half of those are done
IN_FLIGHT_S = 0.1  # what was sent before the signal has reached the server by then


def frozen_holder(stage: Stage, crew: Crew) -> JobRecord | None:
    """Freeze one who is in the middle of a job, and answer the job."""
    there, jobs = set(crew.names()), stage.queue.list(limit=LATEST)
    busy = [job for job in jobs if job.state == "running" and job.worker in there and job.progress.step]
    if not busy:
        if all(job.state in TERMINAL for job in jobs):  # they were done before enough of them were frozen
            stage.submit(len(there))
        return None
    chosen = stage.rng.choice(busy)
    crew.freeze(chosen.worker or "")
    time.sleep(IN_FLIGHT_S)
    now = stage.queue.get(chosen.job_id)
    if now and now.state is JobState.RUNNING and now.worker == chosen.worker:
        return now
    crew.thaw(chosen.worker or "")  # it was done before the signal arrived
    return None


def raise_zombies(stage: Stage, count: int, workers: int, at_once: int) -> None:
    """Freeze some, let others do their jobs, thaw them, and hear what they are told; again until there were enough."""
    with Crew(stage.plan(lease_s=LEASE_S, step_s=0.05), workers, GRACE_S) as crew:
        for _ in range(count // at_once):
            stage.submit(3 * workers)
            one_round(stage, crew, at_once)
        stage.settle(timeout_s=120)
    stage.figures["struck"] = {"SIGSTOP": count}


def one_round(stage: Stage, crew: Crew, at_once: int) -> None:
    """The zombies of one time."""
    frozen = [wait_for(lambda: frozen_holder(stage, crew)) for _ in range(at_once)]
    frozen_s = time.monotonic()
    wait_for(lambda: all(is_done(stage, record) for record in frozen))
    time.sleep(max(0.0, frozen_s + 3 * LEASE_S - time.monotonic()))
    with closing(open_store(stage.store_url)) as store:
        made = {record.job_id: winner_of(store, record.job_id) for record in frozen}
        for record in frozen:
            crew.thaw(record.worker or "")
        wait_for(lambda: all(what_it_was_told(stage, record) for record in frozen))
        for record in frozen:
            assert what_it_was_told(stage, record) <= {"lost", False, None}
            assert winner_of(store, record.job_id) == made[record.job_id]


def winner_of(store: Store, job_id: str) -> Published:
    """The published manifest and its files; what a loser uploaded before he was frozen he may take away."""
    published = published_of(store, job_id)
    assert published.manifest
    assert None not in published.sha256.values()
    return published


def is_done(stage: Stage, record: JobRecord) -> bool:
    now = stage.queue.get(record.job_id)
    return bool(now and now.state is JobState.SUCCEEDED)


def what_it_was_told(stage: Stage, record: JobRecord) -> set[object]:
    """The answers to a zombie since it was thawed; that a beat of before was welcome, it only hears now."""
    events = [event for event in stage.events() if event.facts.get("worker", event.who) == record.worker]
    thawed_s = max((event.at_s for event in events if event.op == "SIGCONT"), default=0.0)
    of_before = {e.number for e in events if (e.kind, e.op) == ("call", "heartbeat") and e.at_s < thawed_s}
    ops = {"heartbeat", "complete", "fail", "release"}
    told = [e for e in events if e.at_s > thawed_s and e.kind == "answer" and e.job == record.job_id and e.op in ops]
    return {e.facts["answer"] for e in told if e.number not in of_before or e.facts["answer"] != "mine"}


def test_zombies_are_told_and_change_nothing(stage: Stage) -> None:
    raise_zombies(stage, count=4, workers=4, at_once=2)
    assert stage.judge() == []


@pytest.mark.fault
def test_a_hundred_zombies(stage: Stage) -> None:
    raise_zombies(stage, count=100, workers=8, at_once=4)
    assert stage.judge() == []


def zombie_story(stage: Stage) -> list[Violation]:
    """The same with two claims in one process: one is taken from its holder, who completes it all the same."""
    queue = stage.recorded("worker")
    (job_id,) = stage.submit(1)
    zombie = queue.claim("zombie", 0.01)
    assert zombie
    reaper = Reaper(queue, grace_s=0.0)
    wait_for(reaper.tick)
    successor = queue.claim("successor", LEASE_S)
    assert successor
    queue.complete(zombie, {"fence": zombie.fence})
    queue.complete(successor, {"fence": successor.fence})
    stage.settle(timeout_s=10)
    assert is_done(stage, wait_for(lambda: stage.queue.get(job_id)))
    return stage.judge()


def test_the_fence_keeps_a_zombie_from_completing(stage: Stage) -> None:
    assert zombie_story(stage) == []


def test_control_without_the_fence_the_zombie_wins(stage: Stage) -> None:
    with mistake(NO_FENCE, "complete"):
        assert "I3" in {violation.invariant for violation in zombie_story(stage)}
