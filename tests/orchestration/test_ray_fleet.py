"""A fleet on a real Ray: caretakers that survive, workers that are replaced, and jobs that are done exactly once."""

from __future__ import annotations

import os
import re
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from leaks import ClosedAfter
from ray.exceptions import RayError
from waiting import RAY_S, wait_for

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue, JobRecord, QueueDepth
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.statistics_store import StatisticsStore
from fastflow_ray.storage import open_store
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.news import News
from workers.status import WorkerState

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("ray_cluster")]
STEPS, ARMS = 6, (0, 2, 4, 6)


@pytest.fixture
def raise_fleet(plan: Callable[..., FleetPlan]) -> Iterator[Callable[..., Fleet]]:
    """Fleets that are dissolved when the test ends."""
    fleets: list[Fleet] = []

    def make(**limits: Any) -> Fleet:
        fleets.append(Fleet(plan(**limits)))
        return fleets[-1]

    yield make
    for fleet in fleets:
        assert fleet.dissolve()


@pytest.fixture(scope="session")
def steady_fleet(ray_cluster: str, plan: Callable[..., FleetPlan]) -> Iterator[Fleet]:
    """Two workers for tests that leave two workers."""
    fleet = Fleet(plan(floor=2, ceiling=2))
    yield fleet
    assert fleet.dissolve()


def queue_of(fleet: Fleet, model: str | None = None) -> JobQueue:
    return open_queue(fleet.plan.redis_url, model or fleet.plan.models[0])


def submit(fleet: Fleet, seed: int = 0, model: str | None = None, **more: Any) -> str:
    """The id of a job of well under a second."""
    numbers = {"width": 32, "height": 16, "frames": 5, "steps": STEPS, "acceleration": "fastflow"} | more
    with closing(queue_of(fleet, model)) as queue:
        return queue.submit(VideoJob(prompt="a red circle", model=queue.name, seed=seed, **numbers)).job_id


def record_of(queue: JobQueue, job_id: str) -> JobRecord:
    """The job as it is now."""
    found = queue.get(job_id)
    assert found is not None
    return found


def statistics_of(fleet: Fleet) -> Statistics:
    return Statistics.from_json(ray.get(fleet.statistics.snapshot.remote()))


def done(depths: Mapping[str, QueueDepth], each: int) -> Mapping[str, QueueDepth] | None:
    """Of queues in which so many jobs each have succeeded; None before."""
    return depths if depths and all(depth.succeeded == each for depth in depths.values()) else None


def pid_of(actor: Any) -> int | None:
    """The process of an actor; None while there is none."""
    try:
        return int(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())))
    except RayError:
        return None


def workers_of(fleet: Fleet) -> dict[str, int | None]:
    """Name → process of both workers of the steady fleet, once they are ready."""
    wait_for(lambda: fleet.status().count(WorkerState.IDLE, WorkerState.BUSY) == 2, RAY_S)
    names = sorted(worker.name for worker in fleet.status().workers)
    return {name: pid_of(ray.get_actor(name, NAMESPACE)) for name in names}


def pulls_of(records: Sequence[JobRecord]) -> np.ndarray:
    """(steps, arms): what the manifests say was skipped. An arm's pull counts when the evaluation that ends it runs, so
    the first evaluation ends none, nor does the second, before which there is nothing to predict from."""
    pulls = np.zeros((STEPS, len(ARMS)), np.int64)
    for record in records:
        assert record.result is not None
        evaluated = record.result["evaluated_steps"]
        for step, following in pairwise(evaluated[1:]):
            pulls[step, ARMS.index(following - step - 1)] += 1
    return pulls


def test_forty_jobs_are_done_once_each_by_a_fleet_that_comes_and_goes(
    raise_fleet: Callable[..., Fleet], closed_after: ClosedAfter
) -> None:
    # A backlog to be done in so short a time wants all four until the last jobs, however fast these turn out to be.
    fleet = raise_fleet(floor=0, ceiling=4, patience_s=2.0, drain_s=0.5)
    queue, store = closed_after(queue_of(fleet)), open_store(fleet.plan.store_url)
    ids = [submit(fleet, seed) for seed in range(40)]
    wait_for(lambda: len(fleet.status().workers) == 4, RAY_S)
    wait_for(lambda: queue.depth().succeeded == 40, timeout_s=300)
    wait_for(lambda: fleet.status().workers == (), RAY_S)
    assert fleet.status().exits == {"dismissed": 4}

    records = [record for job_id in ids if (record := queue.get(job_id))]
    for record in records:
        assert record.result is not None
        files = {file["key"] for file in record.result["files"].values()}
        assert set(store.list(f"jobs/{record.job_id}/")) == files | {f"jobs/{record.job_id}/result.json"}
    (table,) = statistics_of(fleet).tables.values()
    assert table.runs == 40
    np.testing.assert_array_equal(table.pulls, pulls_of(records))


def test_one_worker_serves_all_models_of_its_fleet_and_each_model_keeps_what_it_learnt(
    raise_fleet: Callable[..., Fleet], closed_after: ClosedAfter, metrics_port: int
) -> None:
    fleet = raise_fleet(floor=1, ceiling=1, models=2)
    models = fleet.plan.models
    for seed in range(3):
        for model in models:
            submit(fleet, seed, model)
    depths = wait_for(lambda: done(fleet.status().depths, 3), timeout_s=300)
    assert sorted(depths) == sorted(models)
    assert fleet.status().exits == {}
    for model in models:
        wait_for(lambda model=model: samples(metrics_port, model).get('jobs{state="succeeded"}') == 3, RAY_S)
        assert "workers_wanted{}" not in samples(metrics_port, model)
    assert samples(metrics_port, fleet.plan.name)["workers_wanted{}"] == 1

    stores = [closed_after(StatisticsStore(fleet.plan.redis_url, model)) for model in models]
    kept = [Statistics.sum_of(store.load().documents.values()) for store in stores]
    for model, statistics in zip(models, kept, strict=True):
        (key,) = statistics.keys
        assert key.startswith(f"{model}@")
        assert statistics.runs(key) == statistics_of(fleet).runs(key)
        assert sum(table.runs for table in statistics.tables.values()) == 3


def test_a_job_whose_worker_is_killed_is_done_by_another_and_the_worker_replaced(
    steady_fleet: Fleet, closed_after: ClosedAfter
) -> None:
    queue, pids = closed_after(queue_of(steady_fleet)), workers_of(steady_fleet)
    job_id = submit(steady_fleet, width=64, height=64, frames=17, steps=200, acceleration="off")

    def record() -> JobRecord:
        return record_of(queue, job_id)

    wait_for(lambda: record().progress.step > 0, RAY_S)
    victim = record().worker or "nobody"
    pid = pids[victim]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: record().state is JobState.SUCCEEDED, timeout_s=200)
    assert (record().attempts, record().crashes) == (2, 1)
    wait_for(lambda: workers_of(steady_fleet)[victim] not in (None, pid), RAY_S)
    assert workers_of(steady_fleet).keys() == pids.keys()


@pytest.mark.fault
def test_a_job_may_cost_as_many_workers_as_its_fleet_was_told(
    raise_fleet: Callable[..., Fleet], closed_after: ClosedAfter
) -> None:
    fleet = raise_fleet(floor=1, ceiling=1, max_crashes=3)
    queue = closed_after(queue_of(fleet))
    job_id = submit(fleet, width=64, height=64, frames=17, steps=200, acceleration="off")

    def record() -> JobRecord:
        return record_of(queue, job_id)

    def is_made(deaths: int) -> bool:
        now = record()
        return now.state is JobState.RUNNING and now.crashes == deaths and now.progress.step > 0

    for deaths in range(2):
        wait_for(lambda deaths=deaths: is_made(deaths), RAY_S)
        pid = pid_of(ray.get_actor(record().worker or "nobody", NAMESPACE))
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: record().state in TERMINAL, timeout_s=200)
    assert (record().state, record().attempts, record().crashes) == (JobState.SUCCEEDED, 3, 2)


def test_a_supervisor_that_is_killed_comes_back_and_finds_its_workers(steady_fleet: Fleet) -> None:
    workers, supervisor = workers_of(steady_fleet), pid_of(steady_fleet.supervisor)
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: pid_of(steady_fleet.supervisor) not in (None, supervisor), RAY_S)
    assert workers_of(steady_fleet) == workers
    assert steady_fleet.status().exits == {}


def test_a_fleet_whose_redis_is_away_says_so_until_it_is_back(
    plan: Callable[..., FleetPlan], own_valkey: EmbeddedValkey
) -> None:
    fleet = Fleet(replace(plan(floor=0), redis_url=own_valkey.url))
    wait_for(lambda: fleet.status().ticked_s > 0, RAY_S)
    assert fleet.status().trouble == ""
    own_valkey.stop()
    wait_for(lambda: f"Redis at 127.0.0.1:{own_valkey.port} cannot be reached" in fleet.status().trouble, RAY_S)
    with EmbeddedValkey(own_valkey.directory, own_valkey.port):
        wait_for(lambda: not fleet.status().trouble, RAY_S)
        assert fleet.dissolve()


def test_statistics_that_are_killed_come_back_with_what_they_knew(raise_fleet: Callable[..., Fleet]) -> None:
    fleet = raise_fleet(floor=0)
    table = ArmTable.empty(steps=8, arms=(0, 2), grid="grid")
    table.update(step=3, arm=2, error=0.5)
    delta = Statistics({"key": table}).to_json()
    known = ray.get(fleet.statistics.merge.remote("worker", 0, delta))
    pid = pid_of(fleet.statistics)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pid_of(fleet.statistics) not in (None, pid), RAY_S)
    assert ray.get(fleet.statistics.snapshot.remote()) == known
    assert ray.get(fleet.statistics.merge.remote("worker", 0, delta)) == known


def test_joining_with_another_ceiling_replaces_the_supervisor_only(steady_fleet: Fleet) -> None:
    workers = workers_of(steady_fleet)
    wider = replace(steady_fleet.plan, limits=Limits(floor=2, ceiling=3, patience_s=600.0))
    assert pid_of(Fleet(steady_fleet.plan).supervisor) == pid_of(steady_fleet.supervisor)
    joined = Fleet(wider)
    assert ray.get(joined.supervisor.plan.remote()) == wider
    assert workers_of(joined) == workers
    back = Fleet(steady_fleet.plan)
    steady_fleet.supervisor, steady_fleet.statistics = back.supervisor, back.statistics


def test_each_worker_sees_a_gpu_of_its_own_and_the_caretakers_hold_none(steady_fleet: Fleet) -> None:
    def visible(actor: Any) -> str:
        return str(ray.get(actor.__ray_call__.remote(lambda _: os.environ.get("CUDA_VISIBLE_DEVICES"))))

    def held(actor: Any) -> list[str]:
        ids = ray.get(actor.__ray_call__.remote(lambda _: ray.get_runtime_context().get_accelerator_ids()))
        return list(ids["GPU"])

    assert held(steady_fleet.supervisor) == held(steady_fleet.statistics) == []
    workers = [ray.get_actor(name, NAMESPACE) for name in workers_of(steady_fleet)]
    assert [visible(worker) for worker in workers] == [",".join(held(worker)) for worker in workers]
    assert len({visible(worker) for worker in workers} & {str(gpu) for gpu in range(4)}) == 2


def test_the_caretakers_go_without_what_runs_a_model(steady_fleet: Fleet) -> None:
    """They start in a second instead of four, and a node that only looks after a fleet has memory left."""

    def has_torch(actor: Any) -> bool:
        return bool(ray.get(actor.__ray_call__.remote(lambda _: "torch" in sys.modules)))

    workers = workers_of(steady_fleet)
    assert all(has_torch(ray.get_actor(name, NAMESPACE)) for name in workers)
    assert not has_torch(steady_fleet.supervisor), "though it has read what these workers say of themselves"
    assert not has_torch(steady_fleet.statistics)


def test_what_the_fleet_tells_prometheus(steady_fleet: Fleet, metrics_port: int) -> None:
    workers_of(steady_fleet)
    submit(steady_fleet)
    named = {"queue_depth", "queue_oldest_age_seconds", "jobs", "workers", "workers_wanted", "backlog_gpu_seconds"}
    named |= {"supervisor_last_tick_timestamp_seconds", "bandit_pulls_total", "bandit_runs_total"}
    named |= {"bandit_last_update_timestamp_seconds"}

    def told() -> dict[str, float]:
        return samples(metrics_port, steady_fleet.plan.name)

    wait_for(
        lambda: named <= {name.partition("{")[0] for name in told()} and told()['jobs{state="succeeded"}'] >= 1, RAY_S
    )
    assert told()["workers_wanted{}"] == 2
    assert sum(number for name, number in told().items() if name.startswith("workers{")) == 2


def test_workers_whose_store_keeps_nothing_rest_and_go_on(
    raise_fleet: Callable[..., Fleet], closed_after: ClosedAfter, metrics_port: int, tmp_path: Path
) -> None:
    fleet = raise_fleet(floor=1, ceiling=1, store_url=tmp_path.as_uri())
    fleet.wait_ready()
    in_the_way = [tmp_path / name for name in ("jobs", "check")]  # files where folders should be
    for file in in_the_way:
        file.touch()
    job_id, queue = submit(fleet), closed_after(queue_of(fleet))
    resting = lambda: samples(metrics_port, fleet.plan.name).get("workers_resting{}")  # noqa: E731
    wait_for(lambda: fleet.status().in_one_line().startswith("workers: 1 resting; jobs: 1 queued, 0 running"), RAY_S)
    (line,) = News(None).of(fleet.status())
    assert f"cannot write {in_the_way[1]}/" in line
    wait_for(lambda: resting() == 1, RAY_S)
    for file in in_the_way:
        file.unlink()
    wait_for(lambda: record_of(queue, job_id).state is JobState.SUCCEEDED, RAY_S)
    assert record_of(queue, job_id).attempts == 1
    wait_for(lambda: resting() == 0, RAY_S)


def samples(port: int, model: str) -> dict[str, float]:
    """Our series of this model as Ray exports them, by name and our own labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if (match := re.fullmatch(r"ray_fastflow_(\w+){(.*)} (\S+)", line)) and f'model="{model}"' in match[2]:
            labels = ",".join(label for label in match[2].split(",") if label.startswith(("state=", "cause=")))
            found[f"{match[1]}{{{labels}}}"] = float(match[3])
    return found
