"""One stage per implementation: where a queue is opened and time passes without anybody waiting."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any, Protocol

import redis

from fastflow_ray.jobs.retry import RetryPolicy
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.keys import PREFIXED_TYPES, PREFIXES, SHARED_KEYS, STATISTICS_KEYS, QueueKeys
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from fastflow_ray.queue.redis_desk import RedisDesk
from fastflow_ray.queue.redis_queue import RedisQueue

BACKOFF_S = 5.0
names = (f"queue-{number}" for number in itertools.count())


class LongestBackoff(Random):
    """Draws the upper bound, so that tests know when a delayed job is due."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Stage(Protocol):
    """What the contract suite needs of an implementation."""

    def open(self, **limits: Any) -> JobQueue: ...

    def desk(self, queue: Any) -> QueueDesk: ...

    def elapse(self, seconds: float) -> None: ...


def limits_of(**limits: Any) -> QueueLimits:
    return QueueLimits(**{"retry": RetryPolicy(base_s=BACKOFF_S, cap_s=BACKOFF_S), **limits})


class MemoryStage:
    """The twin, with a clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def open(self, **limits: Any) -> JobQueue:
        return MemoryQueue(next(names), limits_of(**limits), clock=lambda: self.now_s, rng=LongestBackoff())

    def desk(self, queue: MemoryQueue) -> QueueDesk:
        return queue.desk()

    def elapse(self, seconds: float) -> None:
        self.now_s += seconds


class RedisStage:
    """The real one. The server's clock cannot be moved, so every deadline is moved towards it instead."""

    def __init__(self, url: str) -> None:
        self.connection = Connection(url)
        self.client: Any = redis.Redis.from_url(url, decode_responses=True, protocol=2)
        self.names: list[str] = []

    def open(self, **limits: Any) -> JobQueue:
        self.names.append(next(names))
        return RedisQueue(self.connection, self.names[-1], limits_of(**limits), rng=LongestBackoff())

    def desk(self, queue: RedisQueue) -> QueueDesk:
        return RedisDesk(self.connection, queue.name)

    def elapse(self, seconds: float) -> None:
        for name in self.names:
            keys = QueueKeys(name)
            for place in [*JobState, "workers", "deadlines", "looks"]:
                for member in self.client.zrange(keys.key(place), 0, -1):
                    self.client.zincrby(keys.key(place), -round(seconds * 1000), member)
            for record in [*self.client.scan_iter(match=keys.job("*")), *self.client.scan_iter(match=keys.card("*"))]:
                times = self.client.hgetall(record) if self.client.type(record) == "hash" else {}
                for name in {"claimed_ms", "deadline_ms"} & times.keys():
                    self.client.hincrby(record, name, -round(seconds * 1000))
                self._shorten(record, seconds)
            for held in self.client.scan_iter(match=keys.key(PREFIXES["holds"] + "*")):
                self._shorten(held, seconds)

    def _shorten(self, key: str, seconds: float) -> None:
        if (left_ms := self.client.pttl(key)) > 0:
            self.client.pexpire(key, max(1, left_ms - round(seconds * 1000)))

    def close(self) -> None:
        try:
            for name in self.names:
                assert_keys_as_listed(self.client, name)
                if found := list(self.client.scan_iter(match=QueueKeys(name).key("*"))):
                    self.client.delete(*found)
        finally:
            self.client.close()
            self.connection.close()


def assert_keys_as_listed(client: Any, queue: str) -> None:
    """Every key left behind is in keys.py, of the type given there; workers' cards, idempotency keys on hold and the
    records of ended jobs, and only those, expire."""
    keys = QueueKeys(queue)
    types = {keys.key(suffix): kind for suffix, kind in {**SHARED_KEYS, **STATISTICS_KEYS}.items()}
    types_of_many = {keys.key(beginning): PREFIXED_TYPES[name] for name, beginning in PREFIXES.items()}
    for key in client.scan_iter(match=keys.key("*")):
        is_record = key.startswith(keys.job(""))
        kind, left_ms = client.type(key), client.pttl(key)
        if kind == "none" or left_ms == -2:
            continue  # it expired meanwhile
        expires = left_ms >= 0
        of_many = next((kind for beginning, kind in types_of_many.items() if key.startswith(beginning)), None)
        assert kind == types.get(key, of_many), key
        ended = is_record and client.hget(key, "state") in ("succeeded", "dead", "cancelled")
        brief = key.startswith((keys.card(""), keys.key(PREFIXES["holds"])))
        assert expires == (ended or brief), key
    assert client.llen(keys.key("wake")) <= 64
