"""`fastflow-ray up` and `python -m orchestration` as people and clusters run them: as processes, ended by signals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
import ray
from processes import alive, family_of
from rich.console import Console
from s3_server import boto3_settings
from waiting import RAY_S, wait_for

from fastflow_ray.cli import main
from fastflow_ray.models.catalogue import own_cards
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.__main__ import main as keep
from orchestration.autoscale import Limits
from orchestration.commands import _say_how_to_use, attend
from orchestration.fleet import Fleet
from orchestration.fleet_plan import NAMESPACE, FleetPlan

UP = [sys.executable, "-c", "from fastflow_ray.cli import main; main()", "up"]
NO_WORKER = ["--floor", "0", "--ceiling", "1"]
KEEP = [sys.executable, "-m", "orchestration", "--floor", "0", "--ceiling", "1"]
RAYS_AGENTS = {"ray::DashboardA", "ray::RuntimeEnv"}  # after a SIGKILL they try for a minute to reach their raylet
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Begin a process of ours; whatever the test leaves of it is killed."""
    begun: list[subprocess.Popen[str]] = []

    def begin(command: list[str]) -> subprocess.Popen[str]:
        environment = os.environ | {"RAY_AUTH_MODE": "disabled", "COLUMNS": "200"}
        environment.pop("RAY_worker_niceness", None)  # the suite's own
        log = (tmp_path / "log").open("w")
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment, process_group=0)
        log.close()
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def folders_of(pid: int) -> set[Path]:
    """Where the Ray of this process keeps its files."""
    words = "".join(Path(f"/proc/{child}/cmdline").read_text() for child in family_of(pid))
    return {Path(folder) for folder in re.findall(r"/tmp/fastflow-\w+", words)}


def stop_a_raylet(process: subprocess.Popen[str]) -> int:
    """As on a machine that has no time for it; answers its number."""

    def raylets() -> list[int]:
        return [pid for pid in family_of(process.pid) if alive({pid}) == ["raylet"]]

    (raylet,) = wait_for(raylets, RAY_S)
    os.kill(raylet, signal.SIGSTOP)
    return raylet


def said(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text()


def wait_until_said(words: str, process: subprocess.Popen[str], tmp_path: Path) -> None:
    wait_for(lambda: words in said(tmp_path) or process.poll() is not None, RAY_S)
    assert words in said(tmp_path), said(tmp_path)


@pytest.mark.timeout(400)
def test_a_fleet_survives_what_dies_and_leaves_nothing_behind_when_interrupted(start: Start, tmp_path: Path) -> None:
    process = start([*UP, "--workers", "1", "--data", str(tmp_path / "data")])
    wait_until_said("Ctrl-C ends the fleet", process, tmp_path)
    (worker,) = (pid for pid in family_of(process.pid) if alive({pid}) == ["ray::GpuWorker"])
    assert os.getpriority(os.PRIO_PROCESS, worker) == os.getpriority(os.PRIO_PROCESS, process.pid), "it is not nice"
    os.kill(worker, signal.SIGKILL)
    wait_until_said("! a worker died; a job in hand is tried again", process, tmp_path)
    (url,) = re.findall(r"FASTFLOW_REDIS_URL=(\S+)", said(tmp_path))
    with closing(Connection(url)) as connection:
        server = connection.ask(lambda client: client.info("server"))["process_id"]
        os.kill(server, signal.SIGKILL)
        assert connection.ask(lambda client: client.info("server"))["process_id"] != server
    wait_until_said("! Valkey on ", process, tmp_path)
    family, folders = family_of(process.pid), folders_of(process.pid)
    assert {"raylet", "gcs_server"} <= set(alive(family))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=200) == 0
    assert "The fleet has ended" in said(tmp_path)
    deaths = [line for line in said(tmp_path).splitlines() if line.startswith("!")]
    assert {line.split(";")[0].split(" on ")[0] for line in deaths} == {"! a worker died", "! Valkey"}
    assert "raylet" not in said(tmp_path), "Ray tells of it in a paragraph of its own"
    assert alive(family) == []
    assert [folder for folder in folders if folder.exists()] == []


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_a_fleet_that_is_killed_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    process = start([*UP, *NO_WORKER, "--data", str(tmp_path / "data")])
    wait_until_said("Ctrl-C ends the fleet", process, tmp_path)
    family = family_of(process.pid)
    folders = set(re.findall(r"/tmp/fastflow-\w+", "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in family)))
    process.kill()
    wait_for(lambda: set(alive(family)) <= RAYS_AGENTS, RAY_S)
    for folder in folders:  # of logs: nobody was left to remove it
        shutil.rmtree(folder)


@pytest.mark.timeout(400)
def test_an_interrupted_start_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    process = start([*UP, *NO_WORKER, "--data", str(tmp_path / "data")])
    wait_for(lambda: "gcs_server" in alive(family_of(process.pid)), RAY_S)
    family, folders = family_of(process.pid), folders_of(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=200) == 130
    assert alive(family) == []
    assert [folder for folder in folders if folder.exists()] == []


@pytest.mark.timeout(400)
def test_a_second_interrupt_does_not_wait_for_the_workers(start: Start, tmp_path: Path) -> None:
    store_url = (tmp_path / "store").as_uri()
    process = start([*UP, "--workers", "1", "--data", str(tmp_path / "data"), "--store", store_url])
    wait_until_said("Ctrl-C ends the fleet", process, tmp_path)
    assert re.search(r"# FASTFLOW_STORE_URL as given here\n  export FASTFLOW_REDIS_URL=\S+\n", said(tmp_path))
    assert store_url not in said(tmp_path), "it may hold a password"
    family, folders = family_of(process.pid), folders_of(process.pid)
    (worker,) = (pid for pid in family if alive({pid}) == ["ray::GpuWorker"])
    os.kill(worker, signal.SIGSTOP)  # it will not leave by itself
    process.send_signal(signal.SIGINT)
    wait_until_said("Ctrl-C again does not wait", process, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=200) == 130
    assert alive(family) == []
    assert [folder for folder in folders if folder.exists()] == []


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_a_ray_that_does_not_start_is_started_again(start: Start, tmp_path: Path) -> None:
    process = start([*UP, *NO_WORKER, "--data", str(tmp_path / "data")])
    stop_a_raylet(process)
    wait_until_said("Ctrl-C ends the fleet", process, tmp_path)


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_a_ray_that_never_starts_is_told_in_one_line(start: Start, tmp_path: Path) -> None:
    process = start([*UP, *NO_WORKER, "--data", str(tmp_path / "data")])
    first = stop_a_raylet(process)
    folders = folders_of(process.pid)
    wait_for(lambda: first not in family_of(process.pid), RAY_S)
    second = stop_a_raylet(process)
    assert process.wait(timeout=200) == 1
    _, line = said(tmp_path).splitlines()
    assert line.startswith("error: Ray did not start on this machine (")
    assert "try again when the machine is less busy; the logs are in " in line
    assert alive({first, second}) == []
    for folder in folders:
        shutil.rmtree(folder)


@pytest.mark.timeout(400)
def test_a_fleet_in_a_cluster_is_raised_and_goes_on_without_its_starter(
    start: Start, ray_cluster: str, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    places = ["--redis", valkey.url, "--store", (tmp_path / "store").as_uri()]
    starter = start([*KEEP, "--address", ray_cluster, *places])
    wait_until_said("-> the fleet of shapes", starter, tmp_path)
    starter.send_signal(signal.SIGTERM)
    assert starter.wait(timeout=200) == 0
    left = ray.get_actor("shapes-supervisor", NAMESPACE)
    plan: FleetPlan = ray.get(left.plan.remote())
    assert plan.limits == Limits(floor=0, ceiling=1)
    fleet = Fleet(plan)
    wait_for(lambda: fleet.status().ticked_s > 0, RAY_S)
    assert fleet.dissolve()


@pytest.mark.timeout(400)
def test_a_cluster_that_is_not_there_is_named(start: Start, tmp_path: Path) -> None:
    starter = start([*KEEP, "--address", "127.0.0.1:9"])
    assert starter.wait(timeout=200) == 1
    assert "error: no Ray cluster answers at 127.0.0.1:9" in said(tmp_path)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["--model", "none-such"], "there are:"),
        (["--workers", "2", "--floor", "1"], "give either it"),
        (["--floor", "3", "--ceiling", "2"], "a floor of 3 workers is above the ceiling of 2; lower the floor to 2"),
        (["--model", ""], "no model named ''; there are:"),
        (["--redis", "http://nowhere"], "redis://"),
    ],
)
def test_mistakes_are_told_before_anything_is_started(
    words: list[str], remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["up", "--data", str(tmp_path), *words])
    assert end.value.code == 2
    assert remedy in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("start_fleet", [["up"], None], ids=["up", "in a cluster"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("width = 0", "ours: width: too small; at least 16"),
        ("", "ours: source: there is no folder /nowhere on this ma"),
    ],
)
def test_mistakes_in_the_operators_file_too(
    start_fleet: list[str] | None,
    text: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever raises a fleet in a cluster may have no weights, and misses none."""
    file = tmp_path / "models.toml"
    file.write_text(f'[ours]\nsource = "/nowhere"\nlike = "shapes"\n{text}\n')
    monkeypatch.setenv("FASTFLOW_MODELS", str(file))
    if start_fleet:
        with pytest.raises(SystemExit) as end:
            main([*start_fleet, "--data", str(tmp_path / "data"), "--model", "ours"])
        code = end.value.code
    else:
        code = keep(["--address", "127.0.0.1:9", "--model", "ours"])
    (line,) = capsys.readouterr().err.splitlines()
    if text or start_fleet:
        assert code == 2
        assert line.startswith(f"error: {file}: {complaint}")
    else:
        assert code == 1
        assert line.startswith("error: no Ray cluster answers at 127.0.0.1:9")
    assert not (tmp_path / "data").exists()


def test_who_is_to_submit_is_told_of_the_operators_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my models.toml"
    file.write_text('[ours]\nsource = "a/b"\nlike = "shapes"\n')
    monkeypatch.setenv("FASTFLOW_MODELS", str(file))
    for models in (("shapes",), ("shapes", "ours")):
        plan = FleetPlan(models, "redis://127.0.0.1:1/0", "file:///s", Limits(0, 1), own=own_cards(models))
        screen = Console(file=StringIO(), width=200)
        _say_how_to_use(screen, plan, None, None, None)
        assert isinstance(screen.file, StringIO)
        assert (f"FASTFLOW_MODELS='{file}'" in screen.file.getvalue()) == ("ours" in models)


@pytest.mark.parametrize(
    ("words", "number"),
    [([], "1 worker"), (["--workers", "2"], "2 workers"), (["--ceiling", "3"], "0 to 3 workers")],
)
def test_it_says_at_once_what_it_raises(
    words: list[str], number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["up", "--data", str(tmp_path), "--redis", "redis://127.0.0.1:1/0", *words])
    assert capsys.readouterr().out == f"Raising a fleet of {number} …\n"


@pytest.fixture
def deaf() -> Iterator[None]:
    """As a script's shell begins what is to run in the background: this process does not hear SIGINT."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_background_of_a_script_it_can_be_ended_too(deaf: None, number: int) -> None:
    def say_how() -> NoReturn:
        os.kill(os.getpid(), number)
        raise AssertionError("it goes on")

    screen, nothing = Console(file=StringIO()), cast(Any, None)
    attend(nothing, nothing, screen, screen.status(""), say_how)
    assert isinstance(screen.file, StringIO)
    assert screen.file.getvalue().startswith("The workers give their jobs back and leave; ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--redis", "redis://127.0.0.1:1/0"], "Redis at 127.0.0.1:1 cannot be reached; start a server there"),
        (["--redis", "redis://:hush-hush@{valkey}/0"], "refuses the password; check user and password"),
        (["--store", "file:///dev/null/store"], "cannot write /dev/null/store/check/"),
        (["--store", "s3://no-such-bucket"], "create it (aws s3 mb s3://no-such-bucket) or correct the store URL"),
        (["--data", "/dev/null"], "cannot keep a queue in /dev/null/valkey: Not a directory; choose a folder"),
    ],
)
def test_places_where_no_fleet_could_work_are_told_before_ray_is_started(
    words: list[str],
    message: str,
    valkey: EmbeddedValkey,
    s3_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in boto3_settings(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        main(["up", "--data", str(tmp_path), *(word.format(valkey=f"127.0.0.1:{valkey.port}") for word in words)])
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "hush" not in line
