"""The actor: a real Ray on this machine, GPUs that exist only on paper, one worker on each."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from leaks import ClosedAfter

os.environ["RAY_AUTH_MODE"] = "disabled"  # read when Ray is imported

import ray
from ray._private import state
from ray.exceptions import RaySystemError, WorkerCrashedError
from waiting import wait_for

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.errors import StatisticsMismatch, StatisticsUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.embedded import EmbeddedValkey
from workers import private_ray
from workers.actor import ActorSink, spawn_worker
from workers.config import WorkerConfig
from workers.node_drain import node_is_draining
from workers.status import WorkerState

NAMESPACE = "test-workers"
EXPORTED = {
    "jobs_started_total", "jobs_finished_total", "job_phase_seconds_total", "job_duration_seconds_bucket",
    "job_queue_seconds_bucket", "job_queue_sum_seconds_total", "upload_bytes_total", "nfe_total", "baseline_nfe_total",
    "gpu_busy_seconds_total", "gpu_idle_seconds_total",
}  # fmt: skip
SHORT = VideoJob(prompt="a red circle", model="small", width=32, height=16, frames=5, steps=6, acceleration="fastflow")
LONG = VideoJob(prompt="a red circle", model="small", width=256, height=256, frames=5, steps=200, acceleration="off")
pytestmark = pytest.mark.timeout(240)  # Ray takes its time to start on a busy machine


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture(scope="module")
def ray_here(small_checkpoint: Path) -> Iterator[None]:
    """A Ray with GPUs on paper, where "small" is the name of a folder: another room's if there is one, else our own."""
    if ray.is_initialized():
        yield
        return
    with TemporaryDirectory(prefix="ray-", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(small_checkpoint.parent)
        ray.init(
            "local", num_cpus=2, num_gpus=2, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False,
            _temp_dir=folder, object_store_memory=80 * 2**20, _system_config={"metrics_report_interval_ms": 500},
        )  # fmt: skip
        yield
        ray.shutdown()


@pytest.fixture
def statistics(ray_here: None) -> Iterator[Any]:
    """The fleet's statistics as an actor, kept in its memory."""
    actor = ray.remote(Ledger).options(name="statistics", namespace=NAMESPACE).remote()
    yield actor
    ray.kill(actor)


def config(name: str, redis_url: str, folder: Path, model: str = "small") -> WorkerConfig:
    store = (folder / "store").as_uri()
    return WorkerConfig(
        name, (model,), redis_url, store, beat_s=0.5, statistics_actor="statistics", namespace=NAMESPACE
    )


def is_gone(name: str) -> bool:
    return {"name": name, "namespace": NAMESPACE} not in ray.util.list_named_actors(all_namespaces=True)


def free() -> float:
    """GPUs nobody has; Ray leaves the word out when there are none."""
    return float(ray.available_resources().get("GPU", 0.0))


def visible_gpu(worker: Any) -> str:
    return str(ray.get(worker.__ray_call__.remote(lambda self: os.environ["CUDA_VISIBLE_DEVICES"])))


def exported() -> str:
    """What Prometheus would read from this node."""
    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_two_workers_share_a_queue_and_what_they_learn_and_leave_when_asked(
    statistics: Any, redis_url: str, tmp_path: Path, closed_after: ClosedAfter
) -> None:
    queue = closed_after(open_queue(redis_url, "small"))
    free_gpus = free()  # at least: a worker of an earlier test may just be leaving
    workers = [spawn_worker(config(f"worker-{n}", redis_url, tmp_path)) for n in range(2)]
    ids = [queue.submit(SHORT.model_copy(update={"seed": seed})).job_id for seed in range(4)]
    wait_for(lambda: all((record := queue.get(job_id)) and record.result for job_id in ids), timeout_s=100)
    records = [queue.get(job_id) for job_id in ids]
    assert {record.state for record in records if record} == {JobState.SUCCEEDED}
    assert len({visible_gpu(worker) for worker in workers} - {""}) == 2
    wait_for(lambda: '"runs": 4' in ray.get(statistics.snapshot.remote()))
    wait_for(lambda: set(re.findall(r"^ray_fastflow_(\w+){", exported(), re.MULTILINE)) >= EXPORTED)
    for number, worker in enumerate(workers):
        status = ray.get(worker.status.remote())
        assert (status.name, status.model) == (f"worker-{number}", "small")
        worker.drain.remote()
    wait_for(lambda: is_gone("worker-0") and is_gone("worker-1"))
    wait_for(lambda: free() >= free_gpus)


def test_a_worker_works_though_its_maker_died_before_it_was_there(
    statistics: Any, redis_url: str, tmp_path: Path, closed_after: ClosedAfter
) -> None:
    @ray.remote(num_cpus=0, max_retries=0)
    def make_and_die(config: WorkerConfig) -> None:
        worker_id = spawn_worker(config)._actor_id.hex()
        # Ray asks for the actor behind our back; who dies before that leaves neither an actor nor its name.
        while state.actors(worker_id)["State"] == "DEPENDENCIES_UNREADY":
            time.sleep(0.005)
        os._exit(1)

    queue = closed_after(open_queue(redis_url, "small"))
    job_id = queue.submit(SHORT).job_id
    with pytest.raises(WorkerCrashedError):
        ray.get(make_and_die.remote(config("worker-o", redis_url, tmp_path)))
    wait_for(lambda: (record := queue.get(job_id)) and record.state is JobState.SUCCEEDED, timeout_s=100)
    ray.kill(ray.get_actor("worker-o", NAMESPACE))


def test_a_worker_that_cannot_load_its_model_is_gone(ray_here: None, redis_url: str, tmp_path: Path) -> None:
    spawn_worker(config("worker-x", redis_url, tmp_path, model="no-such-model"))
    assert not is_gone("worker-x"), "it was there before"
    wait_for(lambda: is_gone("worker-x"), timeout_s=60)


def test_a_busy_worker_answers(statistics: Any, redis_url: str, tmp_path: Path, closed_after: ClosedAfter) -> None:
    queue = closed_after(open_queue(redis_url, "small"))
    job_id = queue.submit(LONG).job_id
    worker = spawn_worker(config("worker-b", redis_url, tmp_path))
    wait_for(lambda: (record := queue.get(job_id)) and record.progress.step > 0, timeout_s=60)
    status = ray.get(worker.status.remote(), timeout=10)
    assert (status.state, status.job_id) == (WorkerState.BUSY, job_id)
    queue.cancel(job_id)
    wait_for(lambda: (record := queue.get(job_id)) and record.state is JobState.CANCELLED)
    ray.kill(worker)


def test_the_statistics_actor_answers_refuses_or_is_away(statistics: Any) -> None:
    sink = ActorSink("statistics", NAMESPACE)
    assert "trajectories" in sink.snapshot()
    with pytest.raises(StatisticsMismatch):
        sink.merge("worker-1", 0, "damaged")
    with pytest.raises(StatisticsUnavailable, match="nobody"):
        ActorSink("nobody", NAMESPACE).snapshot()


def test_ray_still_tells_which_nodes_are_draining(ray_here: None) -> None:
    assert state.state.get_draining_nodes() == {}, "Ray's private call has moved: mend workers/node_drain.py"
    assert not node_is_draining()


def test_a_node_on_its_way_out_is_seen(ray_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ray.get_runtime_context().get_node_id()
    monkeypatch.setattr(state.state, "get_draining_nodes", lambda: {here: 0})
    assert node_is_draining()


def test_a_head_that_is_away_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is a task of its own: one that failed would be the last, and the node's leaving never be seen."""

    def nobody_answers() -> None:
        raise RaySystemError("Failed to connect to GCS.")

    monkeypatch.setattr(state.state, "get_draining_nodes", nobody_answers)
    assert not node_is_draining()


def test_a_ray_that_does_not_tell_is_complained_about_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(state.GlobalState, "get_draining_nodes")
    private_ray._complain_once.cache_clear()
    assert not node_is_draining()
    assert not node_is_draining()
    assert caplog.text.count("does not tell that a node is draining") == 1
