"""`python -m workers`: on a real Redis and a real folder, ended by real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from leaks import ClosedAfter
from waiting import wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue, JobRecord
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.manifest import Manifest
from fastflow_ray.storage.publication import Publisher
from workers.__main__ import main

# The command in a process of its own, with one model more in the catalogue than it comes with.
COMMAND = """
import os
import sys
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import catalogue
catalogue()["small"] = ModelCard("small", sys.argv.pop(1), 32, 16, 5, 8, 6, 3.0, 3.0, 32, "float32")
from workers import checkpoints
from workers.__main__ import main
if os.environ.get("EVERY_STEP"):
    checkpoints.WORTH_S, checkpoints.SHARE = 0.0, 1e9
sys.exit(main())
"""
SHORT = VideoJob(prompt="a red circle", model="small", seed=7, acceleration="fastflow")
LONG = VideoJob(prompt="a red circle", model="small", seed=7, steps=200, width=256, height=256, acceleration="off")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server.url


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    with closing(open_queue(redis_url, "small")) as queue:
        yield queue


@pytest.fixture
def arguments(redis_url: str, tmp_path: Path) -> list[str]:
    return ["--model", "small", "--redis", redis_url, "--store", (tmp_path / "store").as_uri()]


@pytest.fixture
def small(small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The small model in this process's catalogue, fast beats, and the signal handlers put back afterwards."""
    card = ModelCard("small", str(small_checkpoint), 32, 16, 5, 8, 6, 3.0, 3.0, 32, "float32")
    monkeypatch.setitem(catalogue(), "small", card)
    monkeypatch.setenv("FASTFLOW_BEAT_S", "0.1")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def record(queue: JobQueue, job_id: str) -> JobRecord:
    found = queue.get(job_id)
    assert found is not None
    return found


def is_under_way(queue: JobQueue, job_id: str) -> bool:
    return record(queue, job_id).progress.step > 0


def assert_given_back(queue: JobQueue, job_id: str) -> None:
    found = record(queue, job_id)
    assert (found.state, found.attempts) == (JobState.QUEUED, 0)
    assert queue.cancel(job_id) is JobState.CANCELLED  # out of the next test's way


@pytest.mark.usefixtures("small")
def test_once_makes_one_video_and_leaves(
    queue: JobQueue, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFLOW_RESULT_TTL_S", "100")
    job_id = queue.submit(SHORT).job_id
    assert main([*arguments, "--once"]) == 0
    done = record(queue, job_id)
    assert done.state is JobState.SUCCEEDED
    assert done.finished_s is not None
    assert done.expires_s == pytest.approx(done.finished_s + 100)
    assert (tmp_path / "store" / "jobs" / job_id / "result.json").is_file()


@pytest.mark.usefixtures("small")
def test_given_two_models_it_serves_both_queues(
    redis_url: str, arguments: list[str], closed_after: ClosedAfter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue(), "other", replace(catalogue()["small"], name="other"))
    other = closed_after(open_queue(redis_url, "other"))
    job_id = other.submit(SHORT.model_copy(update={"model": "other"})).job_id
    assert main([*arguments, "--model", "other", "--once"]) == 0
    assert record(other, job_id).state is JobState.SUCCEEDED


@pytest.mark.usefixtures("small")
def test_a_model_of_the_operators_file_is_served(
    redis_url: str,
    arguments: list[str],
    small_checkpoint: Path,
    tmp_path: Path,
    closed_after: ClosedAfter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = "width = 32\nheight = 16\nframes = 5\nsteps = 6\nmax_sequence_length = 32\n"
    file = tmp_path / "models.toml"
    file.write_text(f'[ours]\nsource = "{small_checkpoint}"\nlike = "shapes"\n{numbers}')
    monkeypatch.setenv("FASTFLOW_MODELS", str(file))
    ours = closed_after(open_queue(redis_url, "ours"))
    job_id = ours.submit(SHORT.model_copy(update={"model": "ours"})).job_id
    assert main(["--model", "ours", *arguments[2:], "--once"]) == 0
    made, _ = published(tmp_path / "store", job_id)
    assert (made.model, made.width, made.height, made.frames, made.steps) == ("ours", 32, 16, 5, 6)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_polite_and_the_second_is_not(
    queue: JobQueue, arguments: list[str], number: signal.Signals
) -> None:
    job_id = queue.submit(LONG).job_id

    def send_when_under_way() -> None:
        wait_for(lambda: is_under_way(queue, job_id), timeout_s=60)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send_when_under_way)
    sender.start()
    assert main(arguments) == 0
    sender.join()
    assert_given_back(queue, job_id)
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.timeout(300)  # a process that imports torch takes its time on a busy machine
def test_a_process_of_its_own_leaves_politely(queue: JobQueue, arguments: list[str], small_checkpoint: Path) -> None:
    job_id = queue.submit(LONG).job_id
    command = [sys.executable, "-c", COMMAND, str(small_checkpoint), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FASTFLOW_BEAT_S": "0.1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        try:
            wait_for(lambda: is_under_way(queue, job_id), timeout_s=240)
            worker.terminate()
            _, log = worker.communicate(timeout=20)
        finally:
            worker.kill()
    assert worker.returncode == 0, log
    assert f"-> {job_id} attempt 1" in log
    assert f"! {job_id} attempt 1: released after" in log
    assert_given_back(queue, job_id)


@pytest.fixture
def environment(redis_url: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "FASTFLOW_BEAT_S": "0.1"}


@contextmanager
def process(checkpoint: Path, arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A worker, killed if the test has not ended it."""
    command = [sys.executable, "-c", COMMAND, str(checkpoint), *arguments]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def published(store: Path, job_id: str) -> tuple[Manifest, bytes]:
    """What was made, and the film."""
    made = Publisher(FolderStore(store)).find(job_id)
    assert made is not None
    return made, (store / made.files["video"].key).read_bytes()


def requeue(queue: JobQueue, job_id: str) -> None:
    """What a reaper does, once the lease has run out."""
    seen = wait_for(lambda: [expired for expired in queue.expired() if expired.job_id == job_id])
    assert queue.requeue(seen[0]) is JobState.QUEUED


@pytest.mark.timeout(600)  # processes that import torch take their time on a busy machine
@pytest.mark.parametrize(
    "end", ["SIGTERM", *(pytest.param(end, marks=pytest.mark.fault) for end in ("SIGINT twice", "SIGKILL"))]
)
def test_a_second_process_ends_what_the_first_began(
    queue: JobQueue, arguments: list[str], small_checkpoint: Path, tmp_path: Path, environment: dict[str, str], end: str
) -> None:
    """A worker asked to leave saves its job as it goes; of one that dies, the latest checkpoint is there."""
    job = LONG.model_copy(update={"steps": 120, "width": 160, "height": 160})
    eager = environment | {"FASTFLOW_LEASE_S": "3", "EVERY_STEP": "" if end == "SIGTERM" else "yes"}
    job_id = queue.submit(job).job_id
    with process(small_checkpoint, arguments, eager) as worker:
        wait_for(lambda: record(queue, job_id).progress.step >= 12, timeout_s=240)
        before = record(queue, job_id).progress.step
        if end == "SIGTERM":
            worker.terminate()
        elif end == "SIGKILL":
            wait_for(lambda: any((tmp_path / "store" / "checkpoints").rglob("*.safetensors")))
            worker.kill()
        else:
            wait_for(lambda: any((tmp_path / "store" / "checkpoints").rglob("*.safetensors")))
            wait_for(lambda: worker.poll() is not None or worker.send_signal(signal.SIGINT))
        _, log = worker.communicate(timeout=60)
    found = record(queue, job_id)
    if end == "SIGTERM":
        assert worker.returncode == 0, log
        assert (found.state, found.attempts, found.crashes) == (JobState.QUEUED, 0, 0)
    else:
        assert worker.returncode in {"SIGKILL": (-signal.SIGKILL,), "SIGINT twice": (-signal.SIGINT, 0)}[end], log
    if found.state is JobState.RUNNING:  # the second one came before the job was given back
        requeue(queue, job_id)
    uninterrupted = queue.submit(job.model_copy(update={"tenant": "other"})).job_id
    with process(small_checkpoint, arguments, environment) as worker:
        for one in (job_id, uninterrupted):
            wait_for(lambda one=one: record(queue, one).state is JobState.SUCCEEDED, timeout_s=240)
        worker.terminate()
        _, log = worker.communicate(timeout=60)
    (made, film), (expected, expected_film) = (published(tmp_path / "store", one) for one in (job_id, uninterrupted))
    assert made.resumed_at_steps, log
    assert made.resumed_at_steps[0] >= (before if end == "SIGTERM" else 1)
    assert f"-> {job_id} goes on after step {made.resumed_at_steps[0]}" in log
    assert film == expected_film
    assert made.frames_sha256 == expected.frames_sha256
    assert made.evaluations.made == made.evaluations.planned == 120, "counted once"
    assert made.evaluations.nfe == expected.evaluations.nfe
    assert not any((tmp_path / "store").rglob("*.safetensors"))


def test_what_it_cannot_do_it_says_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]
) -> None:
    assert main(["--redis", "nonsense"]) == 2
    empty = ModelCard("small", str(tmp_path), 32, 16, 5, 8, 6, 3.0, 3.0, 32)
    monkeypatch.setitem(catalogue(), "small", empty)
    assert main(arguments) == 1
    monkeypatch.setitem(catalogue(), "small", replace(empty, source=str(tmp_path / "nowhere")))
    assert main(arguments) == 2
    refused, failed, missing = capsys.readouterr().err.splitlines()
    assert refused.startswith("error: ")
    assert failed.startswith("error: cannot load the model 'small'")
    assert missing == f"error: the catalogue: small: source: there is no folder {tmp_path}/nowhere on this machine"


def test_a_model_that_is_not_in_the_catalogue_is_a_mistake_in_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "shapez"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: no model named 'shapez'; there are: hunyuanvideo, shapes, ")
