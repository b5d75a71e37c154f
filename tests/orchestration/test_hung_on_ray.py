"""A step that never returns, on a real Ray: the job goes to another worker, and this one is replaced."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest
import ray
from leaks import ClosedAfter
from waiting import RAY_S, wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobRecord
from orchestration.fleet import Fleet
from orchestration.fleet_plan import NAMESPACE, FleetPlan
from orchestration.hung_workers import CLING_S
from workers.status import WorkerState

pytestmark = [pytest.mark.fault, pytest.mark.timeout(900), pytest.mark.usefixtures("ray_cluster")]


def pid_of(worker: Any) -> int:
    return int(ray.get(worker.__ray_call__.remote(lambda _: os.getpid())))


def hang(worker: Any) -> None:
    """From its next step on, the network never answers."""

    def never_answer(actor: Any) -> None:
        network = actor._worker._stand._engine.pipe.transformer
        network.register_forward_pre_hook(lambda *_: threading.Event().wait())

    ray.get(worker.__ray_call__.remote(never_answer))


def test_a_worker_that_hangs_loses_its_job_to_another_and_is_replaced(
    plan: Callable[..., FleetPlan], closed_after: ClosedAfter
) -> None:
    fleet = Fleet(replace(plan(floor=2, ceiling=2), stall_s=3.0))
    queue = closed_after(open_queue(fleet.plan.redis_url, fleet.plan.models[0]))
    fleet.wait_ready(RAY_S)
    size = {"width": 64, "height": 64, "frames": 17}
    job = VideoJob(prompt="a red circle", model=fleet.plan.models[0], steps=200, acceleration="off", **size)
    job_id = queue.submit(job).job_id

    def record() -> JobRecord:
        found = queue.get(job_id)
        assert found is not None
        return found

    wait_for(lambda: record().progress.step > 0, RAY_S)
    hung = record().worker or "nobody"
    worker = ray.get_actor(hung, NAMESPACE)
    hang(worker)
    pid = pid_of(worker)
    wait_for(lambda: record().state is JobState.SUCCEEDED, RAY_S)
    assert (record().attempts, record().crashes) == (2, 1)
    assert record().worker != hung
    assert pid_of(worker) == pid, "its process lives and answers, and its step goes on"

    wait_for(lambda: fleet.status().exits == {"hung": 1}, CLING_S + RAY_S)
    wait_for(lambda: not psutil.pid_exists(pid))
    wait_for(lambda: fleet.status().count(WorkerState.IDLE) == 2, RAY_S)
    assert fleet.dissolve()
