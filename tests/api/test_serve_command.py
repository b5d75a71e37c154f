"""`fastflow-ray serve` as a process of its own, under uvicorn and on Ray."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from live_server import DEADLINE_S, free_port
from waiting import RAY_S, wait_for

from fastflow_ray.cli import main
from fastflow_ray.errors import FastFlowError, InvalidInput
from fastflow_ray.queue.contract import JobQueue
from orchestration.api_command import _check_free, serve

COMMAND = "import typer; from orchestration.api_command import serve; typer.run(serve)"
OF_A_PROCESS = pytest.mark.timeout(RAY_S + 3 * DEADLINE_S)  # it starts, answers, leaves
Start = Callable[..., tuple[str, subprocess.Popen[bytes]]]


@pytest.fixture
def start(redis_url: str, store_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the command with more arguments; returns its address once it answers."""
    processes: list[subprocess.Popen[bytes]] = []
    ray_folder = TemporaryDirectory(prefix="ray-")  # Ray's socket names leave no room for pytest's long paths

    def launch(*arguments: str) -> tuple[str, subprocess.Popen[bytes]]:
        url = f"http://127.0.0.1:{(port := free_port())}"
        places = ["--port", str(port), "--redis", redis_url, "--store", store_url]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *places, *arguments],
                env={
                    **os.environ,
                    "RAY_AUTH_MODE": "disabled",
                    "RAY_TMPDIR": ray_folder.name,
                    "RAY_raylet_start_wait_time_s": "90",
                },
                stdout=log,
                stderr=log,
            )
        processes.append(process)
        wait_for(lambda: _answers(url) or process.poll() is not None, RAY_S)
        assert process.poll() is None, (tmp_path / "log").read_text()
        return url, process

    yield launch
    for process in processes:
        process.kill()
        process.wait()
    ray_folder.cleanup()


@pytest.mark.parametrize("arguments", [[], ["--ray"]], ids=["uvicorn", "ray"])
@OF_A_PROCESS
def test_it_answers_demands_its_key_keeps_its_limit_and_leaves_when_told(
    start: Start, arguments: list[str], queue: JobQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FASTFLOW_MAX_QUEUED", "1")
    (tmp_path / "models.toml").write_text('[ours]\nsource = "a/b"\nlike = "shapes"\n')
    monkeypatch.setenv("FASTFLOW_MODELS", str(tmp_path / "models.toml"))
    (tmp_path / "key").write_text("sesame\n")
    url, process = start("--api-key-file", str(tmp_path / "key"), *arguments)
    with httpx.Client(base_url=url, timeout=DEADLINE_S) as http:
        assert http.get("/v1/videos").status_code == 401
        http.headers["Authorization"] = "Bearer sesame"
        video = http.post("/v1/videos", json={"prompt": "a ship"}).raise_for_status().json()
        assert queue.get(video["id"]) is not None
        assert http.post("/v1/videos", json={"prompt": "a ship"}).status_code == 429
        assert http.get("/v1/models").json()["data"][-1]["id"] == "ours", "which the operator's file names"
    process.send_signal(signal.SIGTERM)
    process.wait(DEADLINE_S)
    assert process.returncode in (0, -signal.SIGTERM)  # uvicorn passes the signal on once it has finished


@OF_A_PROCESS
def test_a_stream_of_events_keeps_no_server_from_leaving(start: Start, tmp_path: Path):
    """It ends as a stream should; cut off after the grace, it would break off within a chunk."""
    url, process = start()
    with httpx.Client(base_url=url, timeout=DEADLINE_S) as http:
        video = http.post("/v1/videos", json={"prompt": "a ship"}).raise_for_status().json()
        with http.stream("GET", f"/v1/videos/{video['id']}/events") as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            process.send_signal(signal.SIGTERM)
            assert [*lines] == [""]
    process.wait(DEADLINE_S)
    assert "graceful shutdown exceeded" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_key_file_without_a_key_starts_no_open_server(tmp_path: Path, content: bytes | None):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match="key"):
        serve(api_key_file=file)


@pytest.mark.parametrize(
    ("host", "said"), [("127.0.0.1", ": Address already in use; choose"), ("no-such-host.invalid", "; choose")]
)
def test_an_address_where_nobody_can_listen_is_one_line(
    host: str, said: str, redis_url: str, store_url: str, capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit) as end:
            main(["serve", "--host", host, "--port", str(port), "--redis", redis_url, "--store", store_url])
    assert end.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: cannot listen on {host}:{port}: ")
    assert said in line
    assert line.endswith("choose another --host or --port")


def test_an_address_that_this_machine_has_not_hides_no_taken_port_of_another(monkeypatch: pytest.MonkeyPatch):
    """`localhost` where there is no IPv6: its first address cannot be listened on, and uvicorn goes on without it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("203.0.113.1", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: places)
        with pytest.raises(FastFlowError, match=f"cannot listen on localhost:{port}: Address already in use; choose"):
            _check_free("localhost", port)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.HTTPError:
        return False
