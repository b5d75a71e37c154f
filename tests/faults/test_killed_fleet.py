"""A whole fleet on a real Ray: any of its processes may be killed, and nobody has to do anything about it.

FAULT_FLEET_JOBS (200) and FAULT_FLEET_KILL_EVERY_S fit it to the machine: a killed worker needs eight seconds of
a core, most of them to import torch and diffusers, before it works again. So there is a kill every two seconds where
four cores are, and fewer where cores are fewer.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import redis
from history import History
from ray._private import state
from stage import Stage

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.storage.checkpoints import ROOM
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.local_fleet import LocalFleet

JOBS = int(os.environ.get("FAULT_FLEET_JOBS", "200"))
CORE_S_PER_KILL = 6.8  # a quarter of the kills are of workers; half of it is left to those that live
KILL_EVERY_S = float(
    os.environ.get("FAULT_FLEET_KILL_EVERY_S", max(2.0, CORE_S_PER_KILL / len(os.sched_getaffinity(0))))
)
WORKERS = 4
KINDS = ("worker", "statistics", "supervisor", "server")
SETTINGS = {"lease_s": 6.0, "beat_s": 1.0, "grace_s": 8.0, "max_crashes": 1_000}  # deaths are ours, not the jobs'
SMALL = {"width": 32, "height": 32, "frames": 5, "steps": 50, "acceleration": "off"}


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Four workers of `shapes`, as `fastflow-ray up --workers 4` raises them."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with LocalFleet(tmp_path / "data", Limits(WORKERS, WORKERS), **SETTINGS) as fleet:
        yield fleet


@pytest.fixture
def fleet_stage(fleet: Fleet, make_stage: Callable[..., Stage]) -> Stage:
    """Its queue and its store."""
    return make_stage(fleet.plan.redis_url, store_url=fleet.plan.store_url, model=fleet.plan.models[0])


def victims(fleet: Fleet) -> dict[str, dict[str, int]]:
    """Kind → name → process, of those who are there. Asks none of them: it might be killed before it answers."""
    kinds = {fleet.plan.supervisor_name: "supervisor", fleet.plan.statistics_name: "statistics"}
    there: dict[str, dict[str, int]] = {}
    for actor in state.state.actor_table(None, actor_state_name="ALIVE").values():
        there.setdefault(kinds.get(actor["Name"], "worker"), {})[actor["Name"]] = actor["Pid"]
    with suppress(redis.RedisError), redis.Redis.from_url(fleet.plan.redis_url) as client:
        there["server"] = {"valkey": int(client.info("server")["process_id"])}
    return there


def kill_somebody(stage: Stage, fleet: Fleet, lost_s: dict[tuple[str, float], float]) -> str | None:
    """SIGKILL to one of the fleet's processes, each kind as often as another; its kind, None if it is dead already.

    `lost_s` gets what the attempts that died had done since their claim, or since their latest checkpoint, by (job,
    time of claim): a dead worker's job is its own for as long as its lease lasts, also if a new worker of its name is
    killed meanwhile.
    """
    kind = stage.rng.choice(KINDS)
    there = victims(fleet).get(kind)
    if not there:
        return None
    name = stage.rng.choice(sorted(there))
    in_hand = [record for record in jobs_of(stage, JobState.RUNNING) if record.worker == name]
    try:
        os.kill(there[name], signal.SIGKILL)
    except ProcessLookupError:
        return None
    for record in in_hand:
        began_s = record.claimed_s or 0.0
        lost_s.setdefault((record.job_id, began_s), time.time() - max(began_s, saved_s(stage, record.job_id)))
    stage.history.note("SIGKILL", kind=kind, name=name, lost=[record.job_id for record in in_hand])
    return kind


def saved_s(stage: Stage, job_id: str) -> float:
    """When the job's checkpoint was written, since the epoch; 0: it has none."""
    saved = (stage.folder / "data" / "store" / ROOM).glob(f"**/{job_id}/*")
    with suppress(FileNotFoundError):  # the job ends just now
        return max((blob.stat().st_mtime for blob in saved), default=0.0)
    return 0.0


def jobs_of(stage: Stage, *states: JobState) -> list[JobRecord]:
    try:
        return [record for record in stage.queue.list(limit=1_000) if record.state in states]
    except QueueUnavailable:
        return []


def submit_all(stage: Stage) -> None:
    """As a client does, with keys of his own."""
    with closing(History(stage.histories, "client")) as history:
        for seed in range(JOBS):
            job = VideoJob(prompt="a small red circle", seed=seed, **SMALL)
            with history.call("submit", seed=seed) as answer:
                answer["job"] = stage.queue.submit(job, f"job {seed}").job_id


@pytest.mark.fault
@pytest.mark.timeout(3_600)
def test_every_job_is_published_once_whoever_is_killed(fleet_stage: Stage, fleet: Fleet) -> None:
    stage, struck, lost_s = fleet_stage, Counter[str | None](), dict[tuple[str, float], float]()
    submit_all(stage)
    began_s = next_s = time.monotonic()
    while len(jobs_of(stage, *TERMINAL)) < JOBS:
        next_s = max(next_s + KILL_EVERY_S, time.monotonic())
        time.sleep(max(0.0, next_s - time.monotonic()))
        struck[kill_somebody(stage, fleet, lost_s)] += 1
    fire_s = time.monotonic() - began_s
    stage.settle(timeout_s=600)
    stage.figures |= {"in vain": struck.pop(None, 0), "fire s": fire_s, "lost work s": list(lost_s.values())}
    stage.figures["struck"] = dict(struck)
    stage.figures["median lost work s"] = statistics.median(lost_s.values()) if lost_s else 0.0
    assert stage.judge() == []
    assert struck.keys() == set(KINDS) or struck.total() < 10 * len(KINDS), "each kind was struck"
    ended = jobs_of(stage, *TERMINAL)
    ends = Counter(record.state for record in ended)
    stage.figures |= {"ends": dict(ends), "crashes by job": dict(Counter(record.crashes for record in ended))}
    assert ends == {JobState.SUCCEEDED: JOBS}
