"""Worker processes that hang or die on a job: it is taken from them, given to another, and buried after the second."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from waiting import wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue, JobRecord
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.reaper import Reaper

# A worker that works, or whose network, from its fifth call on, never answers or ends the process, as a kernel might.
COMMAND = """
import os, sys, time
from fastflow_ray.models import loading
from workers import __main__, worker

def load_broken(model):
    engine, calls = loading.load_engine(model), []

    def fail(module, inputs):
        calls.append(1)
        while sys.argv[-1] != "works" and len(calls) >= 5:
            os._exit(1) if sys.argv[-1] == "dies" else time.sleep(1)

    engine.pipe.transformer.register_forward_pre_hook(fail)
    return engine

worker.Worker.__init__.__defaults__ = (load_broken, None)
sys.exit(__main__.main(sys.argv[1:-1]))
"""
JOB = VideoJob(prompt="a red circle", model="shapes", steps=12, acceleration="off")
pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]  # two processes import torch


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with EmbeddedValkey(tmp_path / "valkey") as server:
        yield server.url


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    with closing(open_queue(redis_url, "shapes")) as queue:
        yield queue


@contextmanager
def worker_that(how: str, redis_url: str, store: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that "hangs" or "dies" in the middle of a job, or "works"."""
    seconds = {"LEASE": "2", "BEAT": "0.2", "STALL": "3", "GRACE": "6"}
    times = {f"FASTFLOW_{name}_S": value for name, value in seconds.items()} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", COMMAND, "--redis", redis_url, "--store", store.as_uri(), how]
    with subprocess.Popen(command, env=os.environ | times) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def record(queue: JobQueue, job_id: str) -> JobRecord:
    found = queue.get(job_id)
    assert found is not None
    return found


def reaped(reaper: Reaper, queue: JobQueue, job_id: str) -> JobState:
    """The job's state after a look of the reaper's."""
    reaper.tick()
    return record(queue, job_id).state


def test_a_job_that_one_worker_hangs_on_and_another_dies_of_is_poison(
    queue: JobQueue, redis_url: str, tmp_path: Path
) -> None:
    reaper, job_id = Reaper(queue, grace_s=1.0), queue.submit(JOB).job_id
    with worker_that("hangs", redis_url, tmp_path / "store") as hung:
        wait_for(lambda: record(queue, job_id).progress.step == 2, timeout_s=240)
        wait_for(lambda: reaped(reaper, queue, job_id) is JobState.QUEUED, timeout_s=60)
        assert hung.poll() is None, "its process was alive, and beat no more"
        assert record(queue, job_id).crashes == 1
    with worker_that("dies", redis_url, tmp_path / "store") as dead:
        dead.wait(240)
        wait_for(lambda: reaped(reaper, queue, job_id) is JobState.QUEUED, timeout_s=60)
    with worker_that("works", redis_url, tmp_path / "store"):  # and sees that neither of them had published
        wait_for(lambda: record(queue, job_id).state is JobState.DEAD, timeout_s=240)
    ended = record(queue, job_id)
    assert ended.crashes == 2
    assert ended.error is not None
    assert ended.error["code"] == "worker_lost"


def catches(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether it has a handler for the signal."""
    found = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return found is not None and bool(int(found[1], 16) & 1 << number - 1)


def test_a_second_interrupt_ends_a_worker_at_once_and_another_does_its_job(
    queue: JobQueue, redis_url: str, tmp_path: Path
) -> None:
    job_id = queue.submit(JOB).job_id
    with worker_that("hangs", redis_url, tmp_path / "store") as hung:
        wait_for(lambda: record(queue, job_id).progress.step == 2, timeout_s=240)
        hung.send_signal(signal.SIGINT)
        wait_for(lambda: not catches(hung, signal.SIGINT), timeout_s=60)
        assert hung.poll() is None, "it is polite, and waits for a step that never ends"
        hung.send_signal(signal.SIGINT)
        assert hung.wait(60) == -signal.SIGINT
    assert record(queue, job_id).state is JobState.RUNNING, "it had no time to give it back"
    with worker_that("works", redis_url, tmp_path / "store"):  # does so itself: here is no supervisor
        wait_for(lambda: record(queue, job_id).state is JobState.SUCCEEDED, timeout_s=240)
    assert (record(queue, job_id).attempts, record(queue, job_id).crashes) == (2, 1)
