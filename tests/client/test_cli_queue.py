"""The operator's commands, against a real Valkey."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import pytest
import redis
from scripted_fleet import Answer, Fleet

from fastflow_ray.cli.queue import MEANINGS
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.worker_card import RESTING, WorkerCard

Command = Callable[..., Answer]


def test_shares_are_set_shown_and_taken_back(fleet: Fleet, on_fleet: Command) -> None:
    assert on_fleet("queue", "share").out == "all tenants share alike\n"
    set_ = on_fleet("queue", "share", "ann", "--weight", 2, "--max-running", 1, "--json")
    assert json.loads(set_.out) == {"ann": {"weight": 2.0, "max_running": 1, "max_queued": None}}
    assert on_fleet("queue", "share", "*", "--max-queued", 0).code == 0
    refused = on_fleet("submit", "a circle", "--tenant", "bob")
    assert refused.code == 1
    assert "0 jobs of tenant 'bob' wait, which is its limit" in refused.err
    assert on_fleet("queue", "share", "*").code == 0
    assert on_fleet("submit", "a circle", "--tenant", "bob").code == 0
    shown = on_fleet("queue", "share").out.splitlines()
    assert [line.split() for line in shown] == [
        ["tenant", "weight", "max", "running", "max", "queued"],
        ["ann", "2.0", "1"],
    ]


def test_a_share_that_means_nothing_is_a_mistake(on_fleet: Command) -> None:
    for words in (("ann", "--weight", 0), ("a:b", "--weight", 1), ("ann", "--max-running", -1)):
        answer = on_fleet("queue", "share", *words)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith("error: ")


@pytest.mark.parametrize(
    ("option", "number", "told"),
    [
        ("--weight", 0, "0 is not between 0.001 and 1000; the usual one is 1"),
        ("--max-running", -1, "too small; 0 allows nothing, and leaving it out allows everything"),
        ("--max-queued", -1, "too small; 0 allows nothing, and leaving it out allows everything"),
        (
            "--max-queued",
            99999999999999999999,
            "too large; at most 1000000000000000, and leaving it out allows everything",
        ),
    ],
)
def test_a_refused_share_is_told_by_its_option(on_fleet: Command, option: str, number: int, told: str) -> None:
    answer = on_fleet("queue", "share", "ann", option, number)
    assert (answer.code, answer.out, answer.err) == (2, "", f"error: {option}: {told}\n")
    assert on_fleet("queue", "share").out == "all tenants share alike\n"


def bury(fleet: Fleet, on_fleet: Command) -> str:
    job_id = on_fleet("submit", "a circle").out.strip()
    assert fleet.queue.fail(fleet.claim(), "oom", "no", retryable=False) is JobState.DEAD
    return job_id


def test_a_paused_queue_says_why_to_those_who_wait(fleet: Fleet, on_fleet: Command) -> None:
    assert on_fleet("queue", "pause", "new driver").code == 0
    job_id = on_fleet("submit", "a circle").out.strip()
    assert on_fleet("status", job_id).err == "the queue of shapes is paused: new driver\n"
    assert fleet.queue.claim("w", 60.0) is None
    assert on_fleet("queue", "pause").code == 0
    assert on_fleet("status", job_id).err == "the queue of shapes is paused: by its operator\n"
    assert on_fleet("queue", "resume").code == 0
    assert fleet.queue.claim("w", 60.0) is not None
    assert on_fleet("status", job_id).err == ""


def test_a_job_nobody_serves_says_so(fleet: Fleet, on_fleet: Command) -> None:
    job_id = on_fleet("submit", "a circle").out.strip()
    for words in (("status", job_id), ("status", job_id, "--json")):
        assert on_fleet(*words).err == "no worker serves shapes now; its jobs wait until one comes\n"
    fleet.queue.sign_in(WorkerCard("w-0"), 60.0)
    assert on_fleet("status", job_id).err == ""


@pytest.mark.parametrize("over_http", [False, True])
def test_workers_are_listed_with_what_they_do(
    fleet: Fleet, on_fleet: Command, command: Command, serve_api: Callable[[str | None], str], over_http: bool
) -> None:
    words = ("--api", serve_api(None)) if over_http else ("--redis", fleet.redis_url)
    assert command("workers", *words).out == "no worker serves any model; `fastflow-ray up` starts some\n"
    job_id = on_fleet("submit", "a circle").out.strip()
    claim = fleet.queue.claim("w-0", 60.0)
    assert claim is not None
    fleet.queue.sign_in(WorkerCard("w-0", "NVIDIA H100", "busy", job_id, publishing="job-0"), 60.0)
    fleet.queue.heartbeat(claim)
    header, row = command("workers", *words).out.splitlines()
    assert header.split() == ["model", "worker", "GPU", "state", "makes", "publishes", "beats", "heard", "of"]
    assert row.split()[:8] == ["shapes", "w-0", "NVIDIA", "H100", "busy", job_id, "job-0", "1"]
    fleet.queue.sign_in(WorkerCard("w-1", state=RESTING, why="no weights;\nfetch them"), 60.0)
    assert command("workers", *words).out.splitlines()[-1] == "w-1 rests shapes: no weights; fetch them"
    card, _ = json.loads(command("workers", "--json", *words).out)["shapes"]
    assert (card["worker"], card["state"], card["job_id"], card["publishing"]) == ("w-0", "busy", job_id, "job-0")


def test_in_a_pipe_every_line_is_whole(fleet: Fleet, on_fleet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    tenant, worker, gpu = "t" * 60, "hunyuanvideo-worker-of-node-17", "NVIDIA H100 80GB HBM3"
    prompt = "a small red circle moving left on a navy background, " * 4
    assert on_fleet("queue", "share", tenant, "--weight", 2).code == 0
    job_id = on_fleet("submit", prompt, "--model", "hunyuanvideo").out.strip()
    with closing(open_queue(fleet.redis_url, "hunyuanvideo")) as queue:
        queue.sign_in(WorkerCard(worker, gpu, "busy", job_id, publishing="p" * 32), 60.0)
    for words, told in (
        (("queue", "share"), [tenant, "2.0"]),
        (("queue", "check"), ["submitted"]),
        (("workers",), ["hunyuanvideo", worker, gpu, "busy", job_id, "p" * 32]),
        (("status", job_id), ["prompt", prompt.strip()]),
        (("list",), [job_id, "queued"]),
    ):
        lines = on_fleet(*words).out.splitlines()
        assert [line for line in lines if all(fact in line for fact in told)], (words, lines)


def test_on_a_terminal_a_workers_jobs_stand_below_its_name(
    fleet: Fleet, on_fleet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")
    fleet.queue.sign_in(WorkerCard("w-0", "cpu (x86_64)", "busy", "m" * 32, publishing="p" * 32), 60.0)
    named, made, published = (line.split() for line in on_fleet("workers").out.splitlines()[1:])
    assert named[:3] == ["shapes", "w-0", "cpu"]
    assert (made[0], made[-1]) == ("m" * 32, "makes")
    assert published == ["p" * 32, "publishes"]


def test_the_dead_are_queued_again_one_by_one_or_all(fleet: Fleet, on_fleet: Command) -> None:
    ids = [bury(fleet, on_fleet) for _ in range(3)]
    assert on_fleet("queue", "redrive", ids[0]).out == f"{ids[0]} queued again\n"
    again = on_fleet("queue", "redrive", ids[0])
    assert (again.code, "is no dead job of shapes" in again.err) == (2, True)
    assert on_fleet("queue", "redrive", "--all").out == "2 jobs queued again\n"
    assert fleet.queue.depth().queued == 3
    bury(fleet, on_fleet)
    assert on_fleet("queue", "redrive", "--all").out == "1 job queued again\n"
    assert on_fleet("queue", "redrive").code == on_fleet("queue", "redrive", ids[0], "--all").code == 2


def test_purging_asks_first(fleet: Fleet, on_fleet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(fleet, on_fleet)
    said: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question: said.append(question))
    assert on_fleet("queue", "purge").code == 1
    assert said == ["delete 1 dead job of shapes for good?"]
    assert fleet.queue.depth().dead == 1
    assert on_fleet("queue", "purge", "--yes").out == "1 job deleted\n"
    assert fleet.queue.depth().dead == 0


def test_the_check_balances_and_shows_when_it_does_not(fleet: Fleet, on_fleet: Command) -> None:
    bury(fleet, on_fleet)
    on_fleet("submit", "a circle")
    good = on_fleet("queue", "check")
    assert (good.code, good.out.splitlines()[-1]) == (0, "the books balance")
    with redis.Redis.from_url(fleet.redis_url) as client:
        client.zpopmin("ff:{shapes}:index")
    bad = on_fleet("queue", "check", "--json")
    assert (bad.code, json.loads(bad.out)["complaints"]) == (1, ["2 jobs are in a state, 1 is listed"])


def test_the_check_explains_every_number(on_fleet: Command) -> None:
    on_fleet("submit", "a circle")
    told = [re.split("  +", line) for line in on_fleet("queue", "check").out.splitlines()[1:-1]]
    assert {name: meaning for name, _, meaning in told} == MEANINGS
    assert ["listed", "1", "what `list` shows: all of the six states"] in told
    assert len({*MEANINGS.values()}) == len(MEANINGS) == 14


def test_the_check_says_whose_books_balance(on_fleet: Command) -> None:
    assert on_fleet("queue", "check").out.splitlines()[0].split() == ["counted", "jobs", "of", "shapes"]
    assert json.loads(on_fleet("queue", "check", "--model", "hunyuanvideo", "--json").out)["model"] == "hunyuanvideo"


@pytest.mark.parametrize(
    "words",
    ["check", "check --json", "pause", "resume", "share", "purge --yes", "redrive --all", "redrive ab12", "events"],
)
def test_a_model_that_no_fleet_serves_is_refused(fleet: Fleet, on_fleet: Command, words: str) -> None:
    command = words.split() if words == "events" else ["queue", *words.split()]
    answer = on_fleet(*command, "--model", "nosuch")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "no model named 'nosuch'; there are: hunyuanvideo, shapes, " in answer.err


def test_a_queue_that_had_jobs_is_operated_though_its_model_is_not_in_the_catalogue(
    fleet: Fleet, on_fleet: Command
) -> None:
    with closing(open_queue(fleet.redis_url, "older")) as queue:
        queue.submit(VideoJob(prompt="a circle"), None)
    assert on_fleet("queue", "check", "--model", "older").out.endswith("the books balance\n")
    assert on_fleet("events", "--model", "older").out.endswith("  queued\n")


def test_events_are_told_a_line_each(fleet: Fleet, on_fleet: Command) -> None:
    job_id = bury(fleet, on_fleet)
    lines = on_fleet("events").out.splitlines()
    assert [line.split("  ")[1:] for line in lines] == [
        [job_id, "queued"],
        [job_id, "running", "attempt 1 by worker-0"],
        [job_id, "dead", "attempt 1 by worker-0", "oom"],
    ]
    assert json.loads(on_fleet("events", "--json", "--limit", 1).out)["state"] == "dead"


def test_events_are_followed_until_ctrl_c(fleet: Fleet, on_fleet: Command) -> None:
    program = [sys.executable, "-c", "from fastflow_ray.cli import main; main()", "events", "--follow"]
    environment = {**os.environ, "FASTFLOW_REDIS_URL": fleet.redis_url}
    job_id = on_fleet("submit", "a circle").out.strip()
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        assert told.stdout.readline().split("  ")[1:] == [job_id, "queued\n"]
        fleet.queue.cancel(job_id)
        assert told.stdout.readline().split("  ")[1:] == [job_id, "cancelled\n"]
        told.send_signal(signal.SIGINT)
        assert told.wait(20) == 130
