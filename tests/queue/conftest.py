"""A server for all tests of the queue, and a stage per implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from queue_stages import MemoryStage, RedisStage, Stage

from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.embedded import EmbeddedValkey


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.fixture
def redis_stage(server: EmbeddedValkey) -> Iterator[RedisStage]:
    stage = RedisStage(server.url)
    yield stage
    stage.close()


@pytest.fixture(params=["memory", "redis"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return MemoryStage() if request.param == "memory" else request.getfixturevalue("redis_stage")


@pytest.fixture
def queue(stage: Stage) -> JobQueue:
    return stage.open()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server that the test may kill; started again, it is found at the same address."""
    with EmbeddedValkey(tmp_path / "own") as running:
        yield running
