"""One place for the fleet: each report counted once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.sink import ObservationSink
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import StatisticsMismatch


def report(key: str, error: float, arms=(0, 2)) -> str:
    delta = Statistics()
    delta.table(key, steps=4, arms=arms, grid="g").update(1, 2, error)
    delta.trajectory(key, steps=2, grid="g").add_run(np.eye(2))
    return delta.to_json()


def pulls(ledger: Ledger, key: str) -> int:
    number = int(ledger.statistics.tables[key].pulls.sum())
    assert ledger.statistics.trajectories[key].runs == number, "both kinds travel together"
    return number


def test_it_is_a_sink_and_answers_with_the_snapshot():
    ledger: ObservationSink = Ledger()
    answer = ledger.merge("w1", 1, report("k", 0.5))
    assert answer == ledger.snapshot() == report("k", 0.5)


def test_a_report_sent_again_or_late_is_not_counted():
    ledger = Ledger()
    ledger.merge("w1", 0, report("k", 1.0))
    ledger.merge("w1", 2, report("k", 1.0))
    before = ledger.snapshot()
    assert ledger.merge("w1", 2, report("k", 1.0)) == before
    assert ledger.merge("w1", 1, report("k", 1.0)) == before
    ledger.merge("w2", 1, report("k", 1.0))
    assert pulls(ledger, "k") == 3
    assert ledger.seen == {"w1": 2, "w2": 1}


def test_a_report_neither_copies_nor_writes_what_it_is_not_about():
    ledger = Ledger()
    for key in "abc":
        ledger.merge("w1", ord(key), report(key, 0.5))
    tables, pages = ledger.statistics, ledger.pages
    ledger.merge("w2", 0, report("b", 0.25))
    for key, same in (("a", True), ("b", False), ("c", True)):
        assert (ledger.statistics.tables[key] is tables.tables[key]) == same
        assert (ledger.statistics.trajectories[key] is tables.trajectories[key]) == same
        assert (ledger.pages.arms[key] is pages.arms[key]) == same
        assert (ledger.pages.trajectories[key] is pages.trajectories[key]) == same
    assert ledger.snapshot() == ledger.statistics.to_json()


@given(st.permutations([(worker, sequence) for worker in "ab" for sequence in range(3)]), st.data())
def test_however_often_reports_are_repeated_the_first_of_each_counts(order, data):
    ledger, counted = Ledger(), {}
    for worker, sequence in order + data.draw(st.lists(st.sampled_from(order))):
        if sequence > counted.get(worker, [-1])[-1]:
            counted.setdefault(worker, []).append(sequence)
        ledger.merge(worker, sequence, report("k", 1.0))
    assert pulls(ledger, "k") == sum(map(len, counted.values()))


@pytest.mark.parametrize("bad", ["{", report("k", 1.0, arms=(0, 2, 4)), '{"version": 1, "tables": {}}'])
def test_a_report_of_another_kind_is_refused_and_changes_nothing(bad):
    ledger = Ledger()
    ledger.merge("w1", 1, report("k", 1.0))
    before, seen = ledger.snapshot(), dict(ledger.seen)
    with pytest.raises(StatisticsMismatch):
        ledger.merge("w1", 2, bad)
    assert ledger.snapshot() == before
    assert ledger.seen == seen


def test_taken_up_again_it_knows_what_it_has_counted():
    ledger = Ledger()
    ledger.merge("w1", 2, report("a", 0.25))
    again = Ledger(ledger.statistics, ledger.seen)
    again.merge("w1", 2, report("a", 0.25))
    assert again.snapshot() == ledger.snapshot()
    again.merge("w1", 3, report("a", 0.25))
    assert pulls(again, "a") == 2
