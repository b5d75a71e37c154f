"""A real Valkey, a folder and a server for the session; the queues are emptied before every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import openai
import pytest
import redis
from hand_worker import HandWorker
from live_server import DEADLINE_S, serving

from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from orchestration.api.app import open_app


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(valkey: EmbeddedValkey) -> str:
    """Empty at the start of every test."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushdb()
    return valkey.url


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return (tmp_path_factory.mktemp("results") / "a store").as_uri()


@pytest.fixture(scope="session")
def shared_server(valkey: EmbeddedValkey, store_url: str) -> Iterator[str]:
    with serving(open_app(valkey.url, store_url)) as url:
        yield url


@pytest.fixture
def api_url(shared_server: str, redis_url: str) -> str:
    """A server without a key that has no jobs yet."""
    return shared_server


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    with closing(open_queue(redis_url, "shapes")) as queue:
        yield queue


@pytest.fixture
def http(api_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api_url, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
def client(api_url: str) -> Iterator[openai.OpenAI]:
    """The real client. What it would send again by itself should not be hidden from a test."""
    with openai.OpenAI(base_url=f"{api_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def worker(queue: JobQueue, store: Store, tmp_path: Path) -> HandWorker:
    return HandWorker(queue, store, tmp_path)
