"""The head of a fleet's Ray killed: its cluster ends, and a new one beside the same Redis and store goes on.

On Kubernetes the operator raises the new one; here it is whoever started `fastflow-ray up`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from final_state import all_records
from processes import alive, family_of
from stage import Stage
from waiting import RAY_S, wait_for

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.statistics_store import StatisticsStore

JOBS = 16  # to learn from
LONG_JOBS = 48  # more than two workers are done with in the minute that a cluster without its head works on
MODEL = "shapes"
UP = [sys.executable, "-c", "from fastflow_ray.cli import main; main()", "up", "--model", MODEL, "--workers", "2"]
SETTINGS = {"FASTFLOW_LEASE_S": "6", "FASTFLOW_BEAT_S": "1", "FASTFLOW_GRACE_S": "8", "RAY_AUTH_MODE": "disabled"}
SMALL = {
    "prompt": "a small red circle",
    "width": 32,
    "height": 32,
    "frames": 5,
    "steps": 50,
    "acceleration": "auto",
    "evaluations": 19,
}
LONG = {"width": 64, "height": 64, "frames": 17, "steps": 200, "evaluations": 150}


@contextmanager
def cluster(stage: Stage, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """`fastflow-ray up`, ready for jobs; it leaves its jobs to the next one."""
    log = stage.folder / name
    places = ["--redis", stage.redis_url, "--store", stage.store_url, "--data", str(stage.folder / "data")]
    with log.open("wb") as told:
        up = subprocess.Popen([*UP, *places], stdout=told, stderr=told, env=os.environ | SETTINGS, process_group=0)
    try:
        wait_for(lambda: "Ctrl-C ends the fleet" in log.read_text() or up.poll() is not None, RAY_S)
        assert up.poll() is None, log.read_text()
        yield up
    finally:
        up.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            up.wait(60)
        up.kill()
        up.wait()


def kill_the_head(up: subprocess.Popen[bytes]) -> None:
    (head,) = (pid for pid in family_of(up.pid) if alive({pid}) == ["gcs_server"])
    os.kill(head, signal.SIGKILL)


def observations(stage: Stage) -> int:
    """Generations that the fleet has learnt from, as its Redis knows them."""
    with closing(StatisticsStore(stage.redis_url, MODEL)) as store:
        known = Statistics.sum_of(store.load().documents.values())
    return sum(table.runs for table in known.trajectories.values())


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_a_new_cluster_goes_on_where_the_head_of_the_old_one_was_killed(
    make_stage: Callable[..., Stage], own_server: EmbeddedValkey
) -> None:
    stage = make_stage(own_server.url, model=MODEL)
    with cluster(stage, "first.log") as first:
        stage.submit(JOBS, **SMALL)
        wait_for(lambda: observations(stage), RAY_S)
        stage.history.note("SIGKILL", kind="head")
        kill_the_head(first)
        stage.submit(LONG_JOBS, **SMALL | LONG)  # the old cluster works on for a minute, and ends with jobs in hand
        wait_for(lambda: first.poll() is not None, RAY_S)
    before = observations(stage)
    with cluster(stage, "second.log"):
        stage.settle(timeout_s=300)
    stage.figures["struck"] = {"head": 1}
    assert stage.judge() == []
    records = all_records(stage.queue)
    assert [record.state for record in records] == (JOBS + LONG_JOBS) * [JobState.SUCCEEDED]
    assert any(record.crashes for record in records), "nobody died with a job in hand"
    assert before <= observations(stage) <= sum(record.attempts for record in records)
