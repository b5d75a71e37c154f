"""The network between Redis and its clients breaks in the ways it is told to, and counts."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tcp_proxy import TcpProxy

from fastflow_ray.queue.embedded import EmbeddedValkey


@pytest.fixture
def proxy(own_server: EmbeddedValkey) -> Iterator[TcpProxy]:
    with TcpProxy(own_server.port, seed=1) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(proxy.url, socket_timeout=0.3, retry=Retry(NoBackoff(), 0)) as client:
        yield client


def test_without_faults_it_is_not_noticed(proxy: TcpProxy, client: redis.Redis) -> None:
    assert client.set("key", "v" * 200_000)
    assert len(client.get("key")) == 200_000
    assert not +proxy.struck


def test_latency(proxy: TcpProxy, client: redis.Redis) -> None:
    proxy.latency_s = 0.1
    began_s = time.monotonic()
    client.ping()
    assert time.monotonic() - began_s >= 0.1
    assert proxy.struck["delays"] >= 1


def test_a_lost_answer_was_carried_out(proxy: TcpProxy, client: redis.Redis, own_server: EmbeddedValkey) -> None:
    client.ping()
    proxy.lost_answers = 1.0
    with pytest.raises(redis.ConnectionError):
        client.incr("counter")
    with redis.Redis.from_url(own_server.url) as direct:
        assert direct.get("counter") == b"1"
    assert proxy.struck == {"lost answers": 1}


def test_a_black_hole_swallows_and_gives_back(proxy: TcpProxy, client: redis.Redis) -> None:
    client.ping()
    proxy.black_hole = True
    with pytest.raises(redis.TimeoutError):
        client.ping()
    assert proxy.struck["swallowed"] >= 1
    proxy.black_hole = False
    assert client.ping()


def test_a_half_open_connection_is_silent(proxy: TcpProxy, client: redis.Redis) -> None:
    client.ping()
    proxy.half_open = True
    with pytest.raises(redis.TimeoutError):
        client.ping()
    assert proxy.struck["half open"] == 1


def test_the_same_seed_loses_the_same_answers(own_server: EmbeddedValkey) -> None:
    def lost() -> list[bool]:
        with TcpProxy(own_server.port, seed=7) as proxy:
            proxy.lost_answers = 0.3
            return [_is_lost(proxy) for _ in range(30)]

    assert lost() == lost()
    assert 0 < sum(lost()) < 30


def _is_lost(proxy: TcpProxy) -> bool:
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.sendall(b"PING\r\n")
        try:
            return not connection.recv(100)
        except ConnectionResetError:
            return True
