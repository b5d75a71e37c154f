"""Fault 10: jobs that kill, hang or madden whoever takes them, among many good ones."""

from __future__ import annotations

from collections import Counter

import pytest
import redis
from checker import Violation
from crew import Crew
from stage import Stage
from trivial_engine import MISBEHAVIOURS

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.queue.keys import QueueKeys

MAX_CRASHES = 2
CRASHES = {"exit": MAX_CRASHES, "hang": MAX_CRASHES, "loop": MAX_CRASHES, "oom": 0, "bad payload": 0}


@pytest.fixture
def poisoned(stage: Stage) -> Stage:
    """A stage that counts crashes as fleets do."""
    stage.limits = {"max_crashes": MAX_CRASHES}
    return stage


def mix(stage: Stage, good: int, each: int) -> tuple[list[str], dict[str, str]]:
    """Good jobs' ids, and the poison's with its kind; shuffled by turns: poison after every few good ones."""
    poison: dict[str, str] = {}
    fine: list[str] = []
    for number in range(each):
        for kind in MISBEHAVIOURS:
            poison |= dict.fromkeys(stage.submit(1, kind, max_attempts=1 if kind == "oom" else 3), kind)
        poison |= dict.fromkeys(spoilt(stage), "bad payload")
        fine += stage.submit(good // each + (number < good % each))
    return fine, poison


def spoilt(stage: Stage) -> list[str]:
    """A job whose payload somebody edited by hand."""
    ids = stage.submit(1)
    with redis.Redis.from_url(stage.redis_url) as client:
        for job_id in ids:
            client.hset(QueueKeys(stage.queue.name).job(job_id), "payload", '{"prompt": 3')
    return ids


def swallow(stage: Stage, good: int, each: int, workers: int) -> list[Violation]:
    """Let a crew have it all."""
    fine, poison = mix(stage, good, each)
    with Crew(stage.plan(step_s=0.01, stall_s=1.0), workers, ends_hung=True):
        stage.settle(timeout_s=200)
    stage.figures["struck"] = Counter(poison.values())
    records = {record.job_id: record for record in map(stage.queue.get, [*fine, *poison]) if record}
    assert {job: fate(records[job]) for job in poison} == {
        job: (JobState.DEAD, CRASHES[kind]) for job, kind in poison.items()
    }
    return stage.judge(bad=poison)


def fate(record: JobRecord) -> tuple[JobState, int]:
    return record.state, record.crashes


def test_poison_dies_and_good_jobs_do_not(poisoned: Stage) -> None:
    assert swallow(poisoned, good=20, each=1, workers=4) == []


def test_control_where_no_crash_is_too_many_poison_never_ends(stage: Stage) -> None:
    stage.submit(1, "exit")
    with Crew(stage.plan(step_s=0.01), 2), pytest.raises(AssertionError, match="in vain"):
        stage.settle(timeout_s=8)
    assert "I6" in {violation.invariant for violation in stage.judge()}


@pytest.mark.fault
def test_poison_among_two_hundred_good_jobs(poisoned: Stage) -> None:
    assert swallow(poisoned, good=200, each=4, workers=8) == []
