"""Fault 1: workers are killed and frozen at random while they work."""

from __future__ import annotations

import time

import pytest
from crew import Crew
from mutants import HASTY_BURIAL, LOST_RESULT, mistake
from stage import Stage
from waiting import wait_for

LEASE_S, GRACE_S = 1.0, 1.0


def run_under_fire(
    stage: Stage,
    jobs: int,
    workers: int,
    kills: int,
    freezes: int,
    step_s: float,
    mistake: tuple[str, str] | None = None,
) -> None:
    """Strike at random moments, spread over the time the jobs take; every strike hits somebody who has a job."""
    stage.submit(jobs)
    strikes = ["kill"] * kills + ["freeze"] * freezes
    stage.rng.shuffle(strikes)
    with Crew(stage.plan(lease_s=LEASE_S, step_s=step_s, mistake=mistake), workers, GRACE_S) as crew:
        for strike in strikes:
            victim = wait_for(lambda: busy_worker(stage, crew))
            if strike == "kill":
                crew.kill(victim)
            else:
                crew.freeze(victim)
                time.sleep(2 * LEASE_S)
                crew.thaw(victim)
            time.sleep(stage.rng.uniform(0.05, 0.4))
        stage.settle(timeout_s=100)
    stage.figures |= {"struck": {"SIGKILL": kills, "SIGSTOP": freezes}, "promised_s": LEASE_S + GRACE_S + 1.0}


def busy_worker(stage: Stage, crew: Crew) -> str | None:
    """One who is in the middle of a job."""
    there = set(crew.names())
    busy = [r.worker for r in stage.queue.list(limit=1_000) if r.state == "running" and r.worker in there]
    return stage.rng.choice(busy) if busy else None


def test_killed_and_frozen_workers_cost_no_job(stage: Stage) -> None:
    run_under_fire(stage, jobs=60, workers=4, kills=6, freezes=2, step_s=0.03)
    assert stage.judge() == []


def broken(stage: Stage) -> set[str]:
    return {violation.invariant for violation in stage.judge()}


def test_control_a_reaper_that_buries_what_it_finds_is_found(stage: Stage) -> None:
    with mistake(HASTY_BURIAL, "requeue"):
        run_under_fire(stage, jobs=24, workers=4, kills=4, freezes=0, step_s=0.05)
    assert "I9" in broken(stage)


def test_control_workers_whose_jobs_end_as_dead_are_found(stage: Stage) -> None:
    run_under_fire(stage, jobs=12, workers=2, kills=1, freezes=0, step_s=0.03, mistake=(LOST_RESULT, "complete"))
    assert {"I1", "I9"} <= broken(stage)


@pytest.mark.fault
@pytest.mark.parametrize("more", range(5))
def test_thirty_two_kills_and_eight_freezes(stage: Stage, more: int) -> None:
    stage.rng.seed(stage.seed + more)
    stage.figures["seed"] = stage.seed + more
    run_under_fire(stage, jobs=400, workers=8, kills=32, freezes=8, step_s=0.1)
    assert stage.judge() == []
