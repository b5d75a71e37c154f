"""A fleet without GPUs: a real Valkey, a store in a folder, the HTTP API over both, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from live_server import serving
from scripted_fleet import Answer, Fleet

from fastflow_ray.cli import main
from fastflow_ray.client import Client
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.embedded import EmbeddedValkey
from orchestration.api.app import open_app


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def fleet(valkey: EmbeddedValkey, tmp_path: Path) -> Iterator[Fleet]:
    with redis.Redis.from_url(valkey.url) as everything:
        everything.flushall()
    work = tmp_path / "work"
    work.mkdir()
    with closing(open_queue(valkey.url, "shapes")) as queue:
        yield Fleet(valkey.url, (tmp_path / "store").as_uri(), work, queue)


@pytest.fixture
def serve_api(fleet: Fleet) -> Iterator[Callable[[str | None], str]]:
    """Starts the fleet's HTTP API, with a key or without; answers its address."""
    with ExitStack() as running:
        yield lambda api_key: running.enter_context(serving(open_app(fleet.redis_url, fleet.store_url, api_key)))


@pytest.fixture(params=["redis", "http"])
def client(request: pytest.FixtureRequest, fleet: Fleet, serve_api: Callable[[str | None], str]) -> Iterator[Client]:
    """The same client by both ways."""
    direct = request.param == "redis"
    with Client(fleet.redis_url, fleet.store_url) if direct else Client(serve_api(None)) as client:
        yield client


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Runs one command line in this process, as the installed script would."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return Answer(int(exit_.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def on_fleet(command: Callable[..., Answer], fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """The same, with the environment pointing at the fleet."""
    monkeypatch.setenv("FASTFLOW_REDIS_URL", fleet.redis_url)
    monkeypatch.setenv("FASTFLOW_STORE_URL", fleet.store_url)
    return command
