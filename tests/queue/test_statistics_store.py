"""Tables and sequences come back together, as one picture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leaks import ClosedAfter

from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.statistics_store import StatisticsStore

NAME = "statistics"


@pytest.fixture
def store(server, redis_stage) -> Iterator[StatisticsStore]:
    opened = StatisticsStore(server.url, NAME)
    redis_stage.names.append(NAME)  # swept and checked like a queue
    yield opened
    opened.close()


def test_nothing_is_known_at_first(store: StatisticsStore) -> None:
    assert store.load() == ({}, {})


def test_what_was_saved_is_loaded(store: StatisticsStore, server, closed_after: ClosedAfter) -> None:
    store.save({"shapes/50": "{1}", "wan/50": "{2}"}, "gpu-0", 1)
    store.save({"shapes/50": "{3}"}, "gpu-1", 7)
    store.save({}, "gpu-0", 2)
    everything = ({"shapes/50": "{3}", "wan/50": "{2}"}, {"gpu-0": 2, "gpu-1": 7})
    assert store.load() == everything
    another_life = closed_after(StatisticsStore(server.url, NAME))
    assert another_life.load() == everything


def test_a_damaged_sequence_counts_as_none(store: StatisticsStore, redis_stage) -> None:
    store.save({"shapes/50": "{1}"}, "gpu-0", 1)
    redis_stage.client.hset(QueueKeys(NAME).key("sequences"), "gpu-0", "one")
    assert store.load() == ({"shapes/50": "{1}"}, {"gpu-0": 0})
