"""Commands about jobs, against a real Valkey and store: what they print, what they exit with, what they refuse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest
from leaks import ClosedAfter
from live_server import free_port, serving
from rich.console import Console
from scripted_fleet import DEADLINE_S, THUMBNAIL, VIDEO, Answer, Fleet
from waiting import wait_for

from fastflow_ray.cli.watch import exit_code, follow
from fastflow_ray.client import Client, Job
from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.payload import read_job
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import Claim, JobRecord, Progress
from fastflow_ray.queue.worker_card import WorkerCard
from orchestration.api.app import open_app

Command = Callable[..., Answer]
NOBODY = "redis://127.0.0.1:1/0"  # where no server listens
PROMPT = "a small red circle"


def record_of(fleet: Fleet, job_id: str) -> JobRecord:
    record = fleet.queue.get(job_id)
    assert record is not None
    return record


def begun(fleet: Fleet, *words: str) -> subprocess.Popen[str]:
    """A command in a process of its own, which can be listened to while it runs."""
    program = [sys.executable, "-c", "from fastflow_ray.cli import main; main()", *words]
    environment = {**os.environ, "FASTFLOW_REDIS_URL": fleet.redis_url, "FASTFLOW_STORE_URL": fleet.store_url}
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_submit_prints_the_id_and_nothing_else(fleet: Fleet, on_fleet: Command) -> None:
    fleet.queue.sign_in(WorkerCard("worker-0", "cpu"), ttl_s=DEADLINE_S)  # or the job may be told to wait in vain
    answer = on_fleet(
        "submit", PROMPT, "--size", "64x32", "--frames", 17, "--steps", 20, "--guidance", 1.5, "--shift", 2, "--seed",
        7, "--fps", 9, "--acceleration", "off", "--audit", "--priority", 200, "--tenant", "ann",
        "--lane", "interactive", "--delay", 30, "--deadline", 90,
        "--negative-prompt", "blur",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    record = record_of(fleet, answer.out.strip())
    assert record.state is JobState.DELAYED
    job = read_job(record.payload)
    assert job.model_dump() == {
        "prompt": PROMPT, "negative_prompt": "blur", "model": "shapes", "width": 64, "height": 32, "frames": 17,
        "fps": 9, "steps": 20, "guidance": 1.5, "shift": 2.0, "seed": 7, "acceleration": "off", "evaluations": None,
        "speedup": None, "fidelity_db": None, "preset": None, "confidence": None, "audit": True,
        "lane": "interactive", "priority": 200, "tenant": "ann", "delay_s": 30.0, "deadline_s": 90.0, "max_attempts": 3,
    }  # fmt: skip


def test_what_is_left_out_is_left_to_the_model(fleet: Fleet, on_fleet: Command) -> None:
    payload = json.loads(record_of(fleet, on_fleet("submit", PROMPT).out.strip()).payload)
    assert payload.keys().isdisjoint({"width", "frames", "fps", "steps", "guidance", "shift", "preset", "audit"})
    assert payload["acceleration"] == "auto"


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (("--speedup", 2.6), {"speedup": 2.6}),
        (("--evaluations", 19, "--no-audit"), {"evaluations": 19, "audit": False}),
        (("--fidelity-db", 40, "--confidence", 0.9), {"fidelity_db": 40.0, "confidence": 0.9}),
        (("--acceleration", "auto", "--preset", "fast", "--audit"), {"preset": "fast", "audit": True}),
        (("--acceleration", "fastflow"), {"acceleration": "fastflow"}),
    ],
)
def test_how_much_may_be_skipped_is_asked_for(
    fleet: Fleet, on_fleet: Command, words: tuple[object, ...], fields: dict[str, object]
) -> None:
    payload = json.loads(record_of(fleet, on_fleet("submit", PROMPT, *words).out.strip()).payload)
    assert {"acceleration": "auto", **fields}.items() <= payload.items()


def test_many_videos_take_seeds_in_a_row(fleet: Fleet, on_fleet: Command) -> None:
    ids = on_fleet("submit", PROMPT, "--count", 3, "--seed", 40).out.split()
    assert [read_job(record_of(fleet, job_id).payload).seed for job_id in ids] == [40, 41, 42]


def test_a_key_makes_submit_repeatable(on_fleet: Command) -> None:
    first = on_fleet("submit", PROMPT, "--idempotency-key", "monday")
    assert on_fleet("submit", PROMPT, "--idempotency-key", "monday").out == first.out
    two = on_fleet("submit", PROMPT, "--count", 2, "--idempotency-key", "tuesday").out.split()
    assert len(set(two)) == 2
    other = on_fleet("submit", "a square", "--idempotency-key", "monday")
    assert other.code == 2
    assert "idempotency key" in other.err


def test_how_many_may_wait_and_how_long_the_ended_are_known_are_settings(
    fleet: Fleet, on_fleet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFLOW_MAX_QUEUED", "1")
    monkeypatch.setenv("FASTFLOW_RESULT_TTL_S", "100")
    job_id = on_fleet("submit", PROMPT).out.strip()
    refused = on_fleet("submit", PROMPT)
    assert (refused.code, "1 job waits in the queue 'shapes', which is its limit" in refused.err) == (1, True)
    on_fleet("cancel", job_id)
    ended = record_of(fleet, job_id)
    assert ended.finished_s is not None
    assert ended.expires_s == pytest.approx(ended.finished_s + 100)


def test_submit_in_json_is_one_object_per_line(on_fleet: Command) -> None:
    answer = on_fleet("submit", PROMPT, "--count", 2, "--seed", 1, "--json")
    jobs = [json.loads(line) for line in answer.out.splitlines()]
    assert [(job["state"], job["job"]["seed"]) for job in jobs] == [("queued", 1), ("queued", 2)]


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_submit_can_wait_for_the_video(fleet: Fleet, on_fleet: Command, extra: tuple[str, ...]) -> None:
    fleet.queue.sign_in(WorkerCard("worker-0", "cpu"), ttl_s=DEADLINE_S)  # or the job may be told to wait in vain
    worker = threading.Thread(target=fleet.work)
    worker.start()
    answer = on_fleet("submit", PROMPT, "--wait", *extra)
    worker.join()
    assert (answer.code, answer.err) == (0, "")
    if extra:
        assert json.loads(answer.out)["result"]["evaluations"]["made"] == 4
    else:
        job_id, *_, end = answer.out.splitlines()
        assert end.startswith(f"{job_id}  succeeded  4 of 10 steps evaluated (2.5×)  in ")


@pytest.mark.parametrize("extra", [(), ("--json",), ("--count", 2)])
def test_submit_says_that_nobody_serves_the_model(fleet: Fleet, on_fleet: Command, extra: tuple[object, ...]) -> None:
    fleet.queue.sign_in(WorkerCard("worker-0", "cpu"), ttl_s=DEADLINE_S)
    answer = on_fleet("submit", PROMPT, "--model", "hunyuanvideo", *extra)
    assert (answer.code, len(answer.out.splitlines())) == (0, 2 if "--count" in extra else 1)
    assert answer.err == "no worker serves hunyuanvideo now; its jobs wait until one comes\n"


def test_a_submit_succeeds_though_who_serves_cannot_be_told(on_fleet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(client: Client) -> NoReturn:
        raise QueueUnavailable("Redis cannot be reached")

    monkeypatch.setattr(Client, "services", unreachable)
    answer = on_fleet("submit", PROMPT)
    assert (answer.code, len(answer.out.strip()), answer.err) == (0, 32, "")


@pytest.mark.parametrize("size", ["64x32", "64X32", "64×32"])
def test_a_size_is_written_with_either_x_or_a_cross(on_fleet: Command, size: str) -> None:
    assert on_fleet("submit", PROMPT, "--size", size).code == 0
    (listed,) = json.loads(on_fleet("list", "--json").out)
    assert (listed["job"]["width"], listed["job"]["height"]) == (64, 32)


REFUSED = [
    ((PROMPT, "--model", "sora"), "no model named 'sora'; there are: "),
    ((PROMPT, "--model", ""), "model: the name is empty; name a model, or leave it out for shapes"),
    (("",), "prompt: the prompt is empty; describe the video in a few words"),
    ((" \n",), "prompt: the prompt is empty"),
    (("x" * 100_000,), "prompt: too long; at most 2000 characters"),
    ((PROMPT, "--frames", "16"), "16 frames cannot be decoded; use 4k+1, such as 13 or 17"),
    ((PROMPT, "--size", "63x63"), "error: --size, width: 63 px is not a multiple of 16; use 48 or 64"),
    ((PROMPT, "--width", "63", "--height", "64"), "width: 63 px is not a multiple of 16"),
    ((PROMPT, "--size", "64"), "--size '64' is not WIDTHxHEIGHT in pixels, such as 64x64"),
    ((PROMPT, "--size", "64x64", "--width", "64"), "leave --width and --height out"),
    ((PROMPT, "--steps", "0"), "steps: too small; at least 4"),
    ((PROMPT, "--steps", "10000"), "steps: too large; at most 200"),
    ((PROMPT, "--guidance", "nan"), "error: --guidance: must be a finite number"),
    ((PROMPT, "--speedup", "0.9"), "speedup: too small; at least 1"),
    ((PROMPT, "--speedup", "40"), "ask for 25 at most"),
    (
        (PROMPT, "--speedup", "2", "--preset", "fast"),
        "error: --preset: --speedup says already what to reach; give only one of the two",
    ),
    ((PROMPT, "--evaluations", "60"), "60 of 50 steps cannot be evaluated; ask for 2 to 50"),
    ((PROMPT, "--evaluations", "30", "--steps", "20"), "ask for 2 to 20"),
    (
        (PROMPT, "--fidelity-db", "40", "--acceleration", "off"),
        "--fidelity-db: it tells acceleration auto what to reach",
    ),
    ((PROMPT, "--confidence", "0.9"), "--confidence: it says how surely a --fidelity-db is kept"),
    ((PROMPT, "--seed", "-1"), "seed: too small; at least 0"),
    ((PROMPT, "--tenant", "a b"), "error: --tenant: use 1 to 64 English letters, digits, '.', '_' and '-'"),
    (
        (PROMPT, "--delay", "-1", "--deadline", "0"),
        "--delay: too small; at least 0.0; --deadline: too small; at least 1",
    ),
    ((PROMPT, "--redis", NOBODY, "--api", "http://127.0.0.1:1"), "give only one of them"),
    ((PROMPT, "--store", "s3://films", "--api", "http://127.0.0.1:1"), "--store and --api are two ways"),
    ((PROMPT, "--store", "films"), "--store must begin with file:// or s3://"),
    ((PROMPT, "--redis", "http://127.0.0.1:1"), "--redis must begin with redis://"),
    ((PROMPT, "--api", "ftp://127.0.0.1"), "--api must begin with http:// or https://"),
    ((PROMPT, "--idempotency-key", ""), "the idempotency key is empty; leave it out, or give one"),
    ((PROMPT, "--seed", str(2**63 - 1), "--count", "2"), "seed: "),  # the first of the two would be a good one
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[message[:24] for _, message in REFUSED])
def test_a_mistake_is_one_line_and_exit_code_2(on_fleet: Command, words: tuple[str, ...], message: str) -> None:
    answer = on_fleet("submit", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
    assert len(answer.err) < 400
    assert on_fleet("list", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("submit",), "Missing argument 'PROMPT'; see `fastflow-ray submit --help`"),
        (("submit", "a", "red", "circle"), "red circle"),
        (("submit", PROMPT, "--steps", "many"), "--steps"),
        (("submit", PROMPT, "--acceleration", "warp"), "fastflow"),
        (("submit", PROMPT, "--count", "0"), "--count"),
        (("submit", PROMPT, "--colour"), "--colour"),
        (("sumbit", PROMPT), "submit"),
        (("list", "--state", "lost"), "cancelled"),
        (("policy", "shows"), "see `fastflow-ray policy --help`"),
        (("up", "--workers", "0"), "see `fastflow-ray up --help`"),
    ],
)
def test_a_misspelt_command_line_is_a_usage_error(on_fleet: Command, words: tuple[str, ...], message: str) -> None:
    answer = on_fleet(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


@pytest.mark.parametrize(
    "words", [("submit", PROMPT), ("status", "f" * 32), ("list",), ("watch",), ("cancel", "f" * 32)]
)
def test_without_a_server_every_command_says_so(command: Command, words: tuple[str, ...]) -> None:
    answer = command(*words, "--redis", NOBODY)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: Redis at 127.0.0.1:1 cannot be reached; ")
    assert answer.err.count("\n") == 1


def test_a_wrong_password_is_named_and_not_shown(command: Command, fleet: Fleet) -> None:
    answer = command("list", "--redis", fleet.redis_url.replace("redis://", "redis://:hush-hush@"))
    assert answer.code == 1
    assert "refuses the password" in answer.err
    assert "hush" not in answer.err


def test_a_wrong_variable_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFLOW_REDIS_URL", "localhost")
    answer = command("list")
    assert (answer.code, answer.err) == (
        2, "error: FASTFLOW_REDIS_URL must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://\n"
    )  # fmt: skip


def test_errors_are_json_under_json(command: Command) -> None:
    answer = command("list", "--json", "--redis", NOBODY)
    assert (answer.code, answer.out) == (1, "")
    error = json.loads(answer.err)["error"]
    assert error["code"] == "queue_unavailable"
    assert "cannot be reached" in error["message"]


def test_a_usage_error_is_json_under_json_too(command: Command) -> None:
    answer = command("submit", PROMPT, "--steps", "many", "--json")
    assert (answer.code, answer.out) == (2, "")
    error = json.loads(answer.err)["error"]
    assert error["code"] == "invalid_input"
    assert "--steps" in error["message"]


@pytest.mark.parametrize("words", [("status",), ("cancel",), ("get",), ("watch",)])
@pytest.mark.parametrize("job_id", ["f" * 32, "../x"])
def test_an_unknown_id(on_fleet: Command, words: tuple[str, ...], job_id: str) -> None:
    answer = on_fleet(*words, job_id)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: there is no job '{job_id}'")


def test_status_of_a_job_through_its_life(fleet: Fleet, on_fleet: Command) -> None:
    job_id = on_fleet("submit", PROMPT, "--seed", 7).out.strip()
    assert "queued" in on_fleet("status", job_id).out
    claim = fleet.claim()
    fleet.queue.heartbeat(claim, Progress("sample", 3, 10, 2, 1, eta_s=1.5))
    assert "3 of 10: 2 evaluated, 1 skipped" in on_fleet("status", job_id).out
    assert json.loads(on_fleet("status", job_id, "--json").out)["progress"]["phase"] == "sample"
    fleet.finish(claim)
    assert "8 of 20 evaluations, 2.50 times fewer" in on_fleet("status", job_id).out
    record = json.loads(on_fleet("status", job_id, "--json").out)
    assert (record["id"], record["state"], record["job"]["prompt"]) == (job_id, "succeeded", PROMPT)
    assert record["result"]["files"]["video"]["size"] == len(VIDEO)


def test_list_is_newest_first_limited_and_by_state(on_fleet: Command) -> None:
    ids = [on_fleet("submit", PROMPT).out.strip() for _ in range(3)]
    on_fleet("cancel", ids[0])
    assert [line.split()[:2] for line in on_fleet("list").out.splitlines()] == [
        [ids[2], "queued"], [ids[1], "queued"], [ids[0], "cancelled"],
    ]  # fmt: skip
    assert on_fleet("list", "--limit", 1).out.split()[0] == ids[2]
    assert [job["id"] for job in json.loads(on_fleet("list", "--state", "cancelled", "--json").out)] == [ids[0]]


def test_cancel_says_what_becomes_of_the_job(fleet: Fleet, on_fleet: Command) -> None:
    waiting = on_fleet("submit", PROMPT).out.strip()
    assert on_fleet("cancel", waiting).out == f"{waiting} is cancelled\n"
    assert json.loads(on_fleet("cancel", waiting, "--json").out) == {"id": waiting, "state": "cancelled"}
    running = on_fleet("submit", PROMPT).out.strip()
    claim = fleet.claim()
    assert on_fleet("cancel", running).out == f"{running} stops at its next step\n"
    fleet.finish(claim)
    assert on_fleet("cancel", running).out == f"{running} had already succeeded\n"


def test_get_saves_the_proven_file(fleet: Fleet, on_fleet: Command, tmp_path: Path) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    fleet.work()
    out = tmp_path / "out.mp4"
    assert on_fleet("get", job_id, "-o", out).out == f"{out}\n"
    assert out.read_bytes() == VIDEO
    still = tmp_path / "out.png"
    answer = on_fleet("get", job_id, "--thumbnail", "-o", still, "--json")
    assert json.loads(answer.out) == {"id": job_id, "path": str(still)}
    assert still.read_bytes() == THUMBNAIL


def test_get_names_the_file_after_the_job(
    fleet: Fleet, on_fleet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    fleet.work()
    monkeypatch.chdir(tmp_path)
    assert on_fleet("get", job_id).out == f"{job_id}.mp4\n"
    assert (tmp_path / f"{job_id}.mp4").read_bytes() == VIDEO


def test_get_and_the_troubles_it_may_have(fleet: Fleet, on_fleet: Command, tmp_path: Path) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    early = on_fleet("get", job_id, "-o", tmp_path / "out.mp4")
    assert (early.code, "wait for it first" in early.err) == (2, True)
    fleet.work()
    full = on_fleet("get", job_id, "-o", "/dev/full")
    assert (full.code, full.err) == (1, "error: cannot write /dev/full: No space left on device\n")
    nowhere = on_fleet("get", job_id, "-o", tmp_path / "no" / "out.mp4")
    assert (nowhere.code, "name a file in a folder that exists" in nowhere.err) == (2, True)
    folder = on_fleet("get", job_id, "-o", tmp_path)
    assert (folder.code, f"it is a folder; name a file in it, such as {tmp_path}/video.mp4" in folder.err) == (2, True)
    still = on_fleet("get", job_id, "--thumbnail", "-o", tmp_path / "out.mp4")
    assert (still.code, "end the name in .png, such as " in still.err) == (2, True)
    other_store = on_fleet("get", job_id, "-o", tmp_path / "out.mp4", "--store", (tmp_path / "empty").as_uri())
    assert (other_store.code, "is it the workers' store?" in other_store.err) == (1, True)
    assert list(tmp_path.glob("*out.mp4")) == []


def test_where_nothing_can_be_written_get_ends_alike_whoever_named_the_file(
    fleet: Fleet, on_fleet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    fleet.work()
    monkeypatch.chdir("/proc")  # takes no files, not even from root
    unnamed, named = on_fleet("get", job_id), on_fleet("get", job_id, "-o", f"{job_id}.mp4")
    assert unnamed == named
    assert (named.code, named.out) == (2, "")
    assert named.err.startswith(f"error: cannot write {job_id}.mp4: ")


def test_all_of_it_over_http(
    fleet: Fleet, command: Command, serve_api: Callable[[str | None], str], tmp_path: Path
) -> None:
    api = ("--api", serve_api(None))
    job_id = command("submit", PROMPT, *api).out.strip()
    fleet.work()
    assert command("watch", job_id, *api).out.splitlines()[-1].startswith(f"{job_id}  succeeded")
    assert command("list", *api).out.startswith(job_id)
    assert command("get", job_id, "-o", tmp_path / "out.mp4", *api).code == 0
    assert (tmp_path / "out.mp4").read_bytes() == VIDEO


def test_an_audit_is_told_over_http_as_without_it(
    fleet: Fleet, on_fleet: Command, command: Command, serve_api: Callable[[str | None], str]
) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    fleet.queue.heartbeat(fleet.claim(), Progress("audit", 14, 20, 4, 6, audit_steps=10))
    line = f"{job_id}  running  audit  step 10/10, 4 evaluated, 6 skipped, 4 steps of its audit  {PROMPT}\n"
    assert on_fleet("list").out == command("list", "--api", serve_api(None)).out == line


@contextmanager
def followed_in_a_pipe(fleet: Fleet) -> Iterator[tuple[Claim, Callable[[], str]]]:
    """A running job and what `watch` has said of it so far; afterwards it is dead."""
    screen = Console(file=StringIO(), width=200)
    assert isinstance(screen.file, StringIO)
    with Client(fleet.redis_url, fleet.store_url) as client, ThreadPoolExecutor(1) as aside:
        job = client.submit(PROMPT)
        claim = fleet.claim()
        followed = aside.submit(follow, [job], screen, poll_s=0.01)
        try:
            yield claim, screen.file.getvalue
        finally:
            fleet.queue.fail(claim, "oom", "no", retryable=False)  # or it would be followed for ever
        assert [record.state for record in followed.result(DEADLINE_S)] == [JobState.DEAD]


def test_a_job_that_should_be_back_is_told_in_a_pipe_once_and_over_http_too(
    fleet: Fleet, on_fleet: Command, command: Command, serve_api: Callable[[str | None], str]
) -> None:
    with followed_in_a_pipe(fleet) as (claim, said):
        for silent_s, becomes in ((40, "comes back in at most "), (100, "nobody has given the job back yet")):
            fleet.queue.heartbeat(claim)
            fleet.fall_silent(claim, silent_s)
            wait_for(lambda told=becomes: told in said(), timeout_s=DEADLINE_S)
            assert becomes in on_fleet("list").out
            assert becomes in command("list", "--api", serve_api(None)).out
    assert said().count("nobody has given the job back yet") == 1


def test_a_job_is_silent_and_not_the_worker_that_has_the_name_of_its_own(fleet: Fleet, on_fleet: Command) -> None:
    on_fleet("submit", PROMPT)
    claim = fleet.claim()
    fleet.fall_silent(claim, 40)
    fleet.queue.sign_in(WorkerCard(claim.worker, "cpu", "loading"), ttl_s=60)
    assert "attempt silent for 40 s, the job comes back in at most" in on_fleet("list").out
    heard_s = int(on_fleet("workers").out.split()[-3])
    assert heard_s < 40


def test_watch_without_ids_follows_all_that_have_not_ended(fleet: Fleet, on_fleet: Command) -> None:
    assert on_fleet("watch").out == "no job is waiting or running\n"
    ended = on_fleet("submit", PROMPT).out.strip()
    on_fleet("cancel", ended)
    running = on_fleet("submit", PROMPT).out.strip()
    claim = fleet.claim()
    with begun(fleet, "watch") as watch:
        assert watch.stdout is not None
        first = watch.stdout.readline()
        fleet.finish(claim)
        rest, errors = watch.communicate(timeout=DEADLINE_S)
    assert (watch.returncode, errors) == (0, "")
    assert first.startswith(f"{running}  running")
    assert rest.splitlines()[-1].startswith(f"{running}  succeeded")
    assert ended not in first + rest


def test_watch_fails_if_a_job_has_no_video(on_fleet: Command) -> None:
    job_id = on_fleet("submit", PROMPT).out.strip()
    on_fleet("cancel", job_id)
    assert on_fleet("watch", job_id).code == 1


def test_watch_outlasts_an_api_that_is_replaced(fleet: Fleet, closed_after: ClosedAfter) -> None:
    port, lines, records = free_port(), StringIO(), []
    with serving(open_app(fleet.redis_url, fleet.store_url), port=port) as url:
        jobs = [closed_after(Client(url)).submit(PROMPT)]
        watching = threading.Thread(target=lambda: records.extend(follow(jobs, Console(file=lines), poll_s=0.01)))
        watching.start()
        wait_for(lambda: "queued" in lines.getvalue(), timeout_s=DEADLINE_S)
    fleet.work()
    with serving(open_app(fleet.redis_url, fleet.store_url), port=port):
        watching.join(DEADLINE_S)
    assert [record.state for record in records] == [JobState.SUCCEEDED]


def test_a_terminal_is_redrawn(fleet: Fleet) -> None:
    with Client(fleet.redis_url, fleet.store_url) as client:
        jobs = [client.submit(PROMPT, seed=seed) for seed in (1, 2)]
        fleet.work()
        jobs[1].cancel()
        screen = Console(file=StringIO(), force_terminal=True, width=100)
        records = follow(jobs, screen, poll_s=0.01)
    assert [record.state for record in records] == [JobState.SUCCEEDED, JobState.CANCELLED]
    assert exit_code(records) == 1
    assert isinstance(screen.file, StringIO)
    drawn = screen.file.getvalue()
    assert jobs[0].id in drawn
    assert "█" in drawn


class Telling:
    """Answers one record after another, as a fleet would to one look after another."""

    def __init__(self, *records: JobRecord) -> None:
        self._records = iter(records)

    def get(self, job_id: str) -> JobRecord:
        return next(self._records)


def test_in_a_pipe_a_job_has_a_line_for_each_change_of_state_and_its_audit_one() -> None:
    queued = JobRecord("ab12", JobState.QUEUED, json.dumps({"prompt": PROMPT}), "default", 0, 0, 1.0)
    sampling = [Progress("sample", step, 30, step, 0, audit_steps=20) for step in range(11)]
    auditing = [Progress("audit", 10 + step, 30, 10, 0, audit_steps=20) for step in range(1, 21)]
    running = [replace(queued, state=JobState.RUNNING, progress=now) for now in [*sampling, *auditing]]
    dead = replace(running[-1], state=JobState.DEAD, error={"code": "oom", "message": "too large"})
    screen = Console(file=StringIO(), width=200)
    follow([Job("ab12", Telling(queued, queued, *running, dead))], screen, poll_s=0.0)
    assert isinstance(screen.file, StringIO)
    assert [line.split("  ")[1:3] for line in screen.file.getvalue().splitlines()] == [
        ["queued"],
        ["running", "sample"],
        ["running", "audit"],
        ["dead", "step 10/10, 10 evaluated, 0 skipped, 20 steps of its audit"],
    ]


def test_ctrl_c_is_quiet(fleet: Fleet, closed_after: ClosedAfter) -> None:
    job = closed_after(Client(fleet.redis_url)).submit(PROMPT)
    with begun(fleet, "watch", job.id) as watch:
        assert watch.stdout is not None
        assert watch.stdout.readline() == f"{job.id}  queued\n"
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=DEADLINE_S)
    assert (watch.returncode, errors) == (130, "no worker serves shapes now; its jobs wait until one comes\n")


def test_ctrl_c_tells_who_waits_that_the_jobs_go_on(fleet: Fleet) -> None:
    with begun(fleet, "submit", PROMPT, "--wait") as waiting:
        assert waiting.stdout is not None
        job_id = waiting.stdout.readline().strip()
        assert waiting.stdout.readline() == f"{job_id}  queued\n"
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=DEADLINE_S)
    assert waiting.returncode == 130
    assert errors.splitlines()[-1].startswith("the jobs go on; ")
    assert record_of(fleet, job_id).state is JobState.QUEUED
