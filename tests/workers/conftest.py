"""One small engine for the room, and a worker around it for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from one_worker import OneWorker
from two_queues import TwoQueues

from fastflow_ray.models.engine import Engine
from fastflow_ray.models.loading import load_engine


@pytest.fixture(scope="session")
def small_engine(small_checkpoint: Path) -> Engine:
    return load_engine(str(small_checkpoint), device="cpu")


@pytest.fixture
def one(small_engine: Engine, tmp_path: Path) -> Iterator[OneWorker]:
    """Its feed has to have delivered everything in the end."""
    worker = OneWorker(small_engine, tmp_path / "store")
    yield worker
    worker.executor.close()
    assert worker.feed.close()


@pytest.fixture
def two(small_checkpoint: Path, tmp_path: Path) -> TwoQueues:
    return TwoQueues(small_checkpoint, tmp_path / "store")
