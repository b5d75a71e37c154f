"""The feed: everything a worker learnt arrives exactly once, however often the way to the fleet breaks."""

from __future__ import annotations

import threading
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import wait_for

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import StatisticsMismatch, StatisticsUnavailable
from workers.arm_feed import ArmFeed

GRID = {"steps": 4, "arms": (0, 2), "grid": "g"}


def learnt(key: str, step: int, error: float) -> Statistics:
    statistics = Statistics()
    statistics.table(key, **GRID).update(step, 2, error)  # type: ignore[arg-type]  # three kinds of values
    statistics.trajectory(key, steps=2, grid="g").add_run(error * np.eye(2))
    return statistics


class BrokenWay:
    """A ledger behind a way that breaks before or after the merge: a report is lost, or only its answer is."""

    def __init__(self, ledger: Ledger, rng: Random, share: float) -> None:
        self._ledger, self._rng, self._share = ledger, rng, share

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        self._travel()
        answer = self._ledger.merge(worker, sequence, delta)
        self._travel()
        return answer

    def snapshot(self) -> str:
        self._travel()
        return self._ledger.snapshot()

    def _travel(self) -> None:
        if self._rng.random() < self._share:
            raise StatisticsUnavailable("the way is broken")


class Gate:
    """A ledger that answers only while it is open."""

    def __init__(self) -> None:
        self.ledger, self.is_open, self.calls = Ledger(), False, 0

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        self._pass()
        return self.ledger.merge(worker, sequence, delta)

    def snapshot(self) -> str:
        self._pass()
        return self.ledger.snapshot()

    def _pass(self) -> None:
        self.calls += 1
        if not self.is_open:
            raise StatisticsUnavailable("closed; come back later")


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0.0, 0.8),
    lessons=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(1, 8)), max_size=12),
)
def test_every_lesson_counts_exactly_once_over_a_broken_way(
    seed: int, share: float, lessons: list[tuple[str, int, int]]
) -> None:
    ledger, expected = Ledger(), Statistics()
    feed = ArmFeed(BrokenWay(ledger, Random(seed), share), "worker-1", retry_s=0.0)
    for key, step, eighths in lessons:
        lesson = learnt(key, step, eighths / 8)  # sums of eighths are exact in any order
        expected = expected.merge(lesson)
        feed.give(lesson)
    wait_for(lambda: ledger.statistics.to_json() == expected.to_json())
    feed.close()  # says no where the last answer was lost: the report arrived, but the feed cannot know
    assert ledger.statistics.to_json() == expected.to_json()


def test_nothing_waits_for_a_fleet_that_is_away_and_nothing_is_lost() -> None:
    sink = Gate()
    feed = ArmFeed(sink, "worker-1", retry_s=0.0)
    for _ in range(1_000):
        feed.give(learnt("a", 1, 0.5))
    wait_for(lambda: feed.failures > 3)
    assert feed.known().tables["a"].pulls.sum() == 1_000, "what a worker learnt, it knows without a fleet"
    sink.is_open = True
    wait_for(lambda: "a" in sink.ledger.statistics.tables and sink.ledger.statistics.tables["a"].pulls.sum() == 1_000)
    assert max(sink.ledger.seen.values()) <= 1, "what waited went as one report"
    assert feed.close()


def test_a_worker_begins_with_what_the_fleet_knows() -> None:
    sink = Gate()
    sink.is_open = True
    sink.ledger.merge("worker-9", 0, learnt("a", 1, 0.5).to_json())
    feed = ArmFeed(sink, "worker-1")
    wait_for(lambda: (known := feed.known()) and known.tables["a"].pulls.sum() == 1)
    assert feed.close()


def test_what_is_still_on_the_way_is_part_of_what_is_known() -> None:
    sink, entered, go_on = Gate(), threading.Event(), threading.Event()
    sink.is_open = True
    feed = ArmFeed(sink, "worker-1")
    merge = sink.ledger.merge

    def slowly(worker: str, sequence: int, delta: str) -> str:
        answer = merge(worker, sequence, delta)
        if sequence == 1:
            entered.set()
            assert go_on.wait(20)
        return answer

    sink.ledger.merge = slowly  # type: ignore[method-assign]  # holds the second report under way
    feed.give(learnt("a", 1, 0.5))
    wait_for(lambda: sink.ledger.seen)
    feed.give(learnt("a", 2, 0.5))
    assert entered.wait(20)
    feed.give(learnt("a", 3, 0.5))
    assert feed.known().tables["a"].pulls.sum() == 3, "of which the first alone was answered"
    go_on.set()
    assert feed.close()


def test_a_report_that_the_fleet_refuses_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(learnt("a", 1, 0.5))
    feed = ArmFeed(ledger, "worker-1")
    other_arms = Statistics()
    other_arms.table("a", steps=4, arms=(0, 3), grid="g").update(1, 3, 0.5)
    feed.give(other_arms)
    wait_for(lambda: "refuses" in caplog.text)
    wait_for(lambda: feed.known().to_json() == ledger.statistics.to_json())
    feed.give(learnt("b", 1, 0.5))
    assert feed.close()
    assert sorted(ledger.statistics.tables) == ["a", "b"]


class Stumbling(Ledger):
    """Statistics whose first answers are a defect of this program's."""

    def __init__(self) -> None:
        super().__init__()
        self.stumbles = iter(range(3))

    def snapshot(self) -> str:
        for n in self.stumbles:
            raise ZeroDivisionError(f"defect {n}")
        return super().snapshot()

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        self.snapshot()
        return super().merge(worker, sequence, delta)


def test_a_defect_on_the_way_ends_no_feed_and_is_told_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Stumbling()
    feed = ArmFeed(ledger, "worker-1", retry_s=0.0)
    feed.give(learnt("a", 1, 0.5))
    wait_for(lambda: ledger.statistics.tables)
    assert feed.close()
    assert feed.failures == 3
    assert caplog.text.count("Traceback") == 1


class Mumbling(Ledger):
    """Statistics that merge a report and cannot be understood."""

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        return super().merge(worker, sequence, delta)[1:]


def test_an_illegible_answer_is_a_failure_and_no_refusal(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Mumbling(learnt("a", 1, 0.5))
    feed = ArmFeed(ledger, "worker-1")
    for reports in (1, 2):
        feed.give(learnt("b", 1, 0.5))
        wait_for(lambda reports=reports: feed.failures == reports)
    assert feed.close()
    assert "refuses" not in caplog.text
    assert "cannot have the fleet's statistics" in caplog.text
    assert feed.known().to_json() == ledger.statistics.to_json(), "it was merged all the same"


class Unreadable(Ledger):
    """Statistics that somebody damaged, until somebody mends them."""

    is_damaged = True

    def snapshot(self) -> str:
        if self.is_damaged:
            self.is_damaged = False
            raise StatisticsMismatch("these are not statistics of version 7")
        return super().snapshot()


def test_statistics_that_cannot_be_read_at_first_do_not_silence_a_worker(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Unreadable()
    feed = ArmFeed(ledger, "worker-1")
    feed.give(learnt("a", 1, 0.5))
    assert feed.close()
    assert ledger.statistics.tables["a"].pulls.sum() == 1
    assert "not statistics of version 7" in caplog.text


def test_a_worker_that_starts_anew_is_not_taken_for_its_former_self() -> None:
    ledger = Ledger()
    for _ in range(2):
        feed = ArmFeed(ledger, "worker-1")
        feed.give(learnt("a", 1, 0.5))
        assert feed.close()
    assert ledger.statistics.tables["a"].pulls.sum() == 2


def test_trajectories_alone_are_worth_a_report() -> None:
    ledger, lesson = Ledger(), Statistics()
    lesson.trajectory("a", steps=2, grid="g").add_run(np.eye(2))
    feed = ArmFeed(ledger, "worker-1")
    feed.give(lesson)
    assert feed.close()
    assert ledger.statistics.to_json() == lesson.to_json()


def test_an_empty_fleet_is_an_answer_too() -> None:
    feed = ArmFeed(Ledger(), "worker-1")
    assert feed.close()
    assert not feed.known()


def test_closing_says_whether_everything_arrived() -> None:
    feed = ArmFeed(Gate(), "worker-1")
    feed.give(learnt("a", 1, 0.5))
    assert not feed.close()


@pytest.mark.parametrize("report", [True, False])
def test_what_is_held_back_is_known_here_and_told_or_dropped_once(report: bool) -> None:
    ledger = Ledger()
    feed = ArmFeed(ledger, "worker-1")
    settle = feed.hold(learnt("a", 1, 0.5))
    feed.give(learnt("b", 1, 0.5))
    assert "a" in feed.known().tables, "the next job decides by it"
    wait_for(lambda: "b" in ledger.statistics.tables)
    assert "a" not in ledger.statistics.tables
    settle(report)
    settle(report)
    feed.give(learnt("c", 1, 0.5))
    assert feed.close()
    assert ledger.statistics.tables["c"].pulls.sum() == 1
    assert ("a" in ledger.statistics.tables) is ("a" in feed.known().tables) is report
    if report:
        assert ledger.statistics.tables["a"].pulls.sum() == 1
