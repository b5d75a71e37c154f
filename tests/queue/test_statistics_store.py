"""Tables and sequences come back together, as one picture, and nobody writes over what he has not seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from leaks import ClosedAfter
from queue_stages import RedisStage

from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.statistics_store import Kept, StatisticsStore

NAME = "statistics"
KEYS = QueueKeys(NAME)
REPORTERS = 10_000


@pytest.fixture
def store(server: EmbeddedValkey, redis_stage: RedisStage) -> Iterator[StatisticsStore]:
    opened = StatisticsStore(server.url, NAME)
    redis_stage.names.append(NAME)  # swept and checked like a queue
    yield opened
    opened.close()


def save(store: StatisticsStore, documents: dict[str, str], worker: str, sequence: int) -> str:
    """As somebody who has just looked."""
    revision = store.save(documents, worker, sequence, store.load().revision)
    assert revision
    return revision


def test_nothing_is_known_at_first(store: StatisticsStore) -> None:
    assert store.load() == Kept({}, {}, "0")


def test_what_was_saved_is_loaded(store: StatisticsStore, server: EmbeddedValkey, closed_after: ClosedAfter) -> None:
    save(store, {"shapes/50": "{1}", "wan/50": "{2}"}, "gpu-0", 1)
    save(store, {"shapes/50": "{3}"}, "gpu-1", 7)
    revision = save(store, {}, "gpu-0", 2)
    everything = Kept({"shapes/50": "{3}", "wan/50": "{2}"}, {"gpu-0": 2, "gpu-1": 7}, revision)
    assert store.load() == everything
    another_life = closed_after(StatisticsStore(server.url, NAME))
    assert another_life.load() == everything


def test_what_is_known_already_is_not_loaded_again(store: StatisticsStore) -> None:
    assert store.load_unless("0") is None
    first = save(store, {"shapes/50": "{1}"}, "gpu-0", 1)
    assert store.load_unless(first) is None
    second = save(store, {"wan/50": "{2}"}, "gpu-1", 1)
    assert store.load_unless(first) == store.load() == store.load_unless("")
    assert store.load_unless(second) is None


def test_a_save_from_an_older_revision_changes_nothing(store: StatisticsStore) -> None:
    first = save(store, {"shapes/50": "{1}"}, "gpu-0", 1)
    second = save(store, {"shapes/50": "{2}"}, "gpu-1", 1)
    for older in ("0", first):
        assert store.save({"shapes/50": "{3}", "wan/50": "{3}"}, "gpu-2", 1, older) is None
    assert store.load() == Kept({"shapes/50": "{2}"}, {"gpu-0": 1, "gpu-1": 1}, second)


def test_what_was_kept_before_there_were_revisions_is_kept_on(store: StatisticsStore, redis_stage: RedisStage) -> None:
    redis_stage.client.hset(KEYS.key("statistics"), "shapes/50", "{1}")
    redis_stage.client.hset(KEYS.key("sequences"), "gpu-0", "3")
    assert store.load() == Kept({"shapes/50": "{1}"}, {"gpu-0": 3}, "0")
    assert save(store, {"shapes/50": "{2}"}, "gpu-0", 4) > "0"


def test_a_revision_is_not_issued_again_after_the_store_forgot_it(
    store: StatisticsStore, redis_stage: RedisStage
) -> None:
    """As when the tail of the append-only file is lost; whoever still holds what is forgotten must not write it."""
    before = save(store, {"shapes/50": "{1}"}, "gpu-0", 1)
    forgotten = save(store, {"shapes/50": "{2}"}, "gpu-0", 2)
    redis_stage.client.set(KEYS.key("revision"), before)
    save(store, {"shapes/50": "{3}"}, "gpu-1", 1)
    assert store.save({"shapes/50": "{4}"}, "gpu-0", 3, forgotten) is None


def test_revisions_rise_though_the_clock_goes_back(store: StatisticsStore, redis_stage: RedisStage) -> None:
    ahead = str(2**52)
    redis_stage.client.set(KEYS.key("revision"), ahead)
    assert save(store, {}, "gpu-0", 1) == str(2**52 + 1)


def test_of_ever_new_workers_the_last_are_remembered(store: StatisticsStore, redis_stage: RedisStage) -> None:
    old = {f"old-{number}": number for number in range(REPORTERS)}
    redis_stage.client.hset(KEYS.key("sequences"), mapping=old)
    redis_stage.client.zadd(KEYS.key("reporters"), old)
    save(store, {}, "old-0", 7)  # reports, and so is not the one unheard of for the longest time
    assert len(store.load().sequences) == REPORTERS
    save(store, {}, "new", 0)
    left = store.load().sequences
    assert (len(left), left["old-0"], left["new"]) == (REPORTERS, 7, 0)
    assert "old-1" not in left
    assert redis_stage.client.zcard(KEYS.key("reporters")) == REPORTERS


def test_a_damaged_sequence_counts_as_none(store: StatisticsStore, redis_stage: RedisStage) -> None:
    save(store, {"shapes/50": "{1}"}, "gpu-0", 1)
    redis_stage.client.hset(KEYS.key("sequences"), "gpu-0", "one")
    assert store.load().sequences == {"gpu-0": 0}
