"""Fault 2: a worker dies at each of nine places in the life of an attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from checker import Violation
from crew import Crew
from deadly_places import PLACES, PREFIX, PUBLISHED
from history import Event
from mutants import BLIND_BURIAL, mistake
from stage import Stage
from waiting import wait_for

from fastflow_ray.storage import open_store


def die_everywhere(stage: Stage, times: int, looks_first: bool = True) -> Counter[str]:
    """So many jobs kill their worker at each place; how often videos were made again after they were published."""
    jobs = {job: place for place in PLACES for job in stage.submit(times, PREFIX + place)}
    # Without overlap a worker holds one job, and each death is the death of one attempt.
    with Crew(stage.plan(step_s=0.01, looks_first=looks_first, overlap=False), size=4):
        stage.settle(timeout_s=300)
        wait_for(lambda: not scratch(stage), timeout_s=60)  # whoever came instead of a dead worker cleaned up
    events = stage.events()
    assert deaths(stage, list(jobs), events) == len(jobs), "every one of them struck once"
    stage.figures["struck"] = {"deaths": len(jobs)}
    job_of_seed = {e.facts["seed"]: e.job for e in events if e.op == "submit" and e.kind == "answer"}
    made = Counter(job_of_seed[e.facts["seed"]] for e in events if e.op == "compute")
    return Counter(jobs[job] for job in jobs if jobs[job] in PUBLISHED and made[job] > 1)


def scratch(stage: Stage) -> list[Path]:
    """Folders of videos that are being encoded, or were when their worker died."""
    return list(stage.histories.glob("fastflow-*"))


def unnamed(stage: Stage) -> set[str]:
    """Files in the store that no manifest names; for after the judgement."""
    assert stage.final is not None
    named = {key for published in (stage.final.published or {}).values() for key in published.sha256}
    with closing(open_store(stage.store_url)) as store:
        return {key for key in store.list("jobs/") if not key.endswith(".json")} - named


def deaths(stage: Stage, jobs: Sequence[str], events: Sequence[Event]) -> int:
    """Of workers: the queue counts those before the completion, the others left a call without an answer."""
    records = [record for record in map(stage.queue.get, jobs) if record]
    told = Counter((e.job, e.kind) for e in events if e.op == "complete")
    unheard = sum(told[job, "call"] > told[job, "answer"] + told[job, "error"] for job in jobs)
    return unheard + sum(record.crashes for record in records)


def test_a_worker_may_die_anywhere_and_what_is_published_is_not_made_again(stage: Stage) -> None:
    assert not die_everywhere(stage, times=2)
    assert stage.judge() == []
    assert not unnamed(stage), "what the dead had uploaded went with the completion"


def test_control_workers_that_do_not_look_for_the_manifest_make_videos_again(stage: Stage) -> None:
    assert die_everywhere(stage, times=1, looks_first=False) == {"manifest put": 1}
    assert stage.judge() == []


def die_twice(stage: Stage) -> list[Violation]:
    """As often as a product's queue allows; the second worker had published."""
    stage.limits = {}
    stage.submit(2, PREFIX + "claimed, then manifest put")
    with Crew(stage.plan(step_s=0.01, overlap=False), size=2):
        stage.settle(timeout_s=60)
    violations = stage.judge()
    stage.figures["struck"] = {"deaths": sum(record.crashes for record in stage.final.records) if stage.final else 0}
    assert stage.figures["struck"] == {"deaths": 4}
    return violations


def test_what_the_last_worker_published_is_the_jobs_result(stage: Stage) -> None:
    assert die_twice(stage) == []


def test_control_a_reaper_that_has_nobody_look_buries_published_jobs(stage: Stage) -> None:
    with mistake(BLIND_BURIAL, "requeue"):
        assert {violation.invariant for violation in die_twice(stage)} == {"I9"}


@pytest.mark.fault
def test_twenty_deaths_at_each_place(stage: Stage) -> None:
    assert not die_everywhere(stage, times=20)
    assert stage.judge() == []
