"""What workers report is kept once, in Redis, and is the sum of what they reported."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaks import ClosedAfter

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import QueueUnavailable, StatisticsMismatch, StatisticsUnavailable
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.statistics_store import Kept, StatisticsStore
from orchestration.arm_statistics import TRIES, FleetStatistics
from orchestration.statistics_by_model import StatisticsByModel

ARMS = (0, 2, 4)
numbers = itertools.count()


def learnt(seed: int, key: str = "key", grid: str = "grid") -> Statistics:
    """What one job may have taught."""
    rng = np.random.default_rng(seed)
    table = ArmTable.empty(steps=8, arms=ARMS, grid=grid)
    for step in range(8):
        table.update(step, int(rng.choice(ARMS)), float(rng.random()))
    table.runs = 1
    trajectories = TrajectoryTable.empty(steps=3, grid=grid)
    velocity = rng.integers(-256, 256, (3, 2)) / 64  # adds without rounding, in whatever order
    trajectories.add_run(velocity @ velocity.T)
    return Statistics({key: table}, {key: trajectories})


def sink(statistics: FleetStatistics) -> StatisticsByModel:
    """As workers reach it."""
    return StatisticsByModel({"model": statistics})


def test_the_snapshot_is_the_sum_of_the_reports_in_whatever_order(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    deltas = {(worker, n): learnt(10 * worker + n, key=f"key-{n % 2}") for worker in range(3) for n in range(4)}
    reports = [(worker, n) for n in range(4) for worker in random.sample(range(3), 3)]
    statistics = FleetStatistics(closed_after(StatisticsStore(valkey.url, model)))
    for worker, n in reports:
        snapshot = sink(statistics).merge(f"w{worker}", n, deltas[worker, n].to_json())
    total = Statistics()
    for report in reports:
        total = total.merge(deltas[report])
    assert snapshot == sink(statistics).snapshot() == total.to_json()
    assert statistics.pulls == 3 * 4 * 8
    assert statistics.runs == 3 * 4 * 2


def test_a_report_sent_again_counts_once(valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter) -> None:
    statistics = FleetStatistics(closed_after(StatisticsStore(valkey.url, model)))
    once = sink(statistics).merge("w", 0, learnt(1).to_json())
    assert sink(statistics).merge("w", 0, learnt(1).to_json()) == once
    assert statistics.pulls == 8


def test_a_successor_knows_the_sums_and_who_has_reported(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    before = FleetStatistics(closed_after(StatisticsStore(valkey.url, model)))
    sink(before).merge("a", 4, learnt(1).to_json())
    snapshot = sink(before).merge("b", 7, learnt(2, key="other").to_json())
    after = FleetStatistics(closed_after(StatisticsStore(valkey.url, model)))
    assert sink(after).snapshot() == snapshot
    assert sink(after).merge("a", 4, learnt(1).to_json()) == snapshot
    assert sink(after).merge("a", 5, learnt(3).to_json()) != snapshot


def test_a_report_that_cannot_be_written_down_is_not_answered_and_may_be_sent_again(
    own_valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    statistics = FleetStatistics(closed_after(StatisticsStore(own_valkey.url, model)))
    sink(statistics).merge("a", 0, learnt(1).to_json())
    own_valkey.stop()
    with pytest.raises(QueueUnavailable):
        sink(statistics).merge("a", 1, learnt(2).to_json())
    assert statistics.persist_errors == 1
    with EmbeddedValkey(own_valkey.directory, own_valkey.port):
        sink(statistics).merge("b", 0, learnt(3).to_json())
        again = sink(statistics).merge("a", 1, learnt(2).to_json())
        assert sink(FleetStatistics(closed_after(StatisticsStore(own_valkey.url, model)))).snapshot() == again
    assert again == learnt(1).merge(learnt(3)).merge(learnt(2)).to_json()
    assert statistics.pulls == 3 * 8


def test_statistics_begun_without_redis_recover_by_themselves(
    own_valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    own_valkey.stop()
    statistics = FleetStatistics(closed_after(StatisticsStore(own_valkey.url, model)))
    with pytest.raises(QueueUnavailable):
        sink(statistics).snapshot()
    with EmbeddedValkey(own_valkey.directory, own_valkey.port):
        assert sink(statistics).snapshot() == Statistics().to_json()


def test_a_key_is_one_field_with_whatever_kinds_it_has(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    store = closed_after(StatisticsStore(valkey.url, model))
    both, arms, trajectories = learnt(1, key="both"), learnt(2, key="arms"), learnt(3, key="trajectories")
    arms.trajectories.clear()
    trajectories.tables.clear()
    statistics = FleetStatistics(store)
    for n, delta in enumerate((both, arms, trajectories)):
        sink(statistics).merge("a", n, delta.to_json())
    assert store.load().documents == {delta.keys[0]: delta.to_json() for delta in (both, arms, trajectories)}
    assert sink(FleetStatistics(store)).snapshot() == sink(statistics).snapshot()


def test_a_damaged_table_in_redis_refuses_no_report_for_good(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    store = closed_after(StatisticsStore(valkey.url, model))
    damaged = store.save({"key": "{"}, "somebody", 0, "0")
    assert damaged
    statistics = FleetStatistics(store)
    with pytest.raises(StatisticsUnavailable, match="damaged; mend or delete it"):
        sink(statistics).merge("a", 0, learnt(1).to_json())
    store.save({"key": learnt(2).to_json()}, "somebody", 1, damaged)
    assert sink(statistics).merge("a", 0, learnt(1).to_json()) == learnt(2).merge(learnt(1)).to_json()


def test_a_damaged_or_foreign_report_changes_nothing(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    statistics = FleetStatistics(closed_after(StatisticsStore(valkey.url, model)))
    before = sink(statistics).merge("a", 0, learnt(1).to_json())
    for delta in ("{", '{"version": 1, "tables": {}}', learnt(2, grid="another").to_json()):
        with pytest.raises(StatisticsMismatch):
            sink(statistics).merge("a", 1, delta)
    assert sink(statistics).snapshot() == before
    assert sink(statistics).merge("a", 1, learnt(2).to_json()) == learnt(1).merge(learnt(2)).to_json()


# (which of them, worker, sequence): in any order, to one, to the other, or to both.
REPORTS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 5)), max_size=24)


@settings(max_examples=40, deadline=None)
@given(reports=REPORTS)
def test_two_that_share_a_store_keep_the_sum_of_what_either_was_told(
    valkey: EmbeddedValkey, reports: list[tuple[int, int, int]]
) -> None:
    name = f"shared-{next(numbers)}"
    with closing(StatisticsStore(valkey.url, name)) as ours, closing(StatisticsStore(valkey.url, name)) as theirs:
        both = FleetStatistics(ours), FleetStatistics(theirs)
        total, seen = Statistics(), dict[int, int]()
        for which, worker, sequence in reports:
            delta = learnt(10 * worker + sequence)
            if sequence > seen.get(worker, -1):
                total, seen[worker] = total.merge(delta), sequence
            sink(both[which]).merge(f"w{worker}", sequence, delta.to_json())
        assert sink(both[0]).snapshot() == sink(both[1]).snapshot() == total.to_json()
        assert sum(one.runs for one in both) == total.runs("key")


def test_two_at_once_lose_nothing_and_count_nothing_twice(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    """Each report goes to both, as one does that was not answered in time."""
    both = [FleetStatistics(closed_after(StatisticsStore(valkey.url, model))) for _ in range(2)]

    def report(statistics: FleetStatistics) -> None:
        for n in range(20):
            sink(statistics).merge("w", n, learnt(n).to_json())

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(report, both))
    kept = Statistics.from_json(sink(both[0]).snapshot())
    assert kept.runs("key") == sum(one.runs for one in both) == 20 * 2
    assert kept.tables["key"].pulls.sum() == 20 * 8


class Overtaken(StatisticsStore):
    """A store where somebody else writes between our loads and our saves, so many times."""

    def __init__(self, redis_url: str, name: str, times: int) -> None:
        super().__init__(redis_url, name)
        self.times = times
        self.others = Statistics()

    def load(self) -> Kept:
        kept = super().load()
        if self.times:
            self.times -= 1
            self.others = self.others.merge(learnt(self.times, key="theirs"))
            assert self.save({"theirs": self.others.to_json()}, "somebody", 100 - self.times, kept.revision)
        return kept


def test_who_is_overtaken_reads_anew_and_writes_the_sum(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    store = closed_after(Overtaken(valkey.url, model, times=3))
    statistics = FleetStatistics(store)
    assert sink(statistics).merge("a", 0, learnt(1).to_json()) == store.others.merge(learnt(1)).to_json()
    assert (statistics.pulls, statistics.persist_errors) == (8, 0)


def test_who_is_overtaken_for_ever_says_so_and_the_report_may_be_sent_again(
    valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    store = closed_after(Overtaken(valkey.url, model, times=TRIES))
    statistics = FleetStatistics(store)
    with pytest.raises(StatisticsUnavailable, match="sent again"):
        sink(statistics).merge("a", 0, learnt(1).to_json())
    assert sink(statistics).merge("a", 0, learnt(1).to_json()) == store.others.merge(learnt(1)).to_json()
