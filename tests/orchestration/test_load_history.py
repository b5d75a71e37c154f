"""What the past adds to a look at the queue."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.queue.contract import QueueDepth
from orchestration.autoscale import Limits, workers_needed, workers_wanted
from orchestration.creation_backoff import LONGEST_PAUSE_S, CreationBackoff
from orchestration.load_history import LoadHistory

LIMITS = Limits(floor=0, ceiling=8, patience_s=60.0)


def test_the_length_of_a_job_is_learnt_from_the_counters() -> None:
    history = LoadHistory(LIMITS)
    assert history.load(QueueDepth(queued=6, running=2), workers=2, now_s=0).job_s is None
    assert history.load(QueueDepth(queued=6, running=2), workers=2, now_s=20).job_s is None
    assert history.load(QueueDepth(queued=4, running=2, succeeded=2), workers=2, now_s=30).job_s == 30.0
    slower = history.load(QueueDepth(queued=2, running=2, succeeded=3, dead=1), workers=2, now_s=80).job_s
    assert slower == pytest.approx(30.0 + 0.3 * (50.0 - 30.0))


def test_records_that_expire_are_not_jobs_that_end() -> None:
    history = LoadHistory(LIMITS)
    history.load(QueueDepth(running=1, succeeded=100), workers=1, now_s=0)
    assert history.load(QueueDepth(running=1, succeeded=40), workers=1, now_s=10).job_s is None


def test_jobs_that_end_count_though_as_many_records_expire() -> None:
    """A day after its first job a fleet loses a record for every one it makes."""
    history = LoadHistory(LIMITS)
    for minute in range(5):
        depth = QueueDepth(running=2, succeeded=100, bygone=4 * minute)
        job_s = history.load(depth, workers=2, now_s=60.0 * minute).job_s
    assert job_s == pytest.approx(30.0)


def test_the_highest_need_is_remembered_for_as_long_as_patience_lasts() -> None:
    history = LoadHistory(LIMITS)
    history.load(QueueDepth(queued=5), workers=0, now_s=0)
    assert history.load(QueueDepth(queued=2), workers=5, now_s=59).recent_need == 5
    assert history.load(QueueDepth(), workers=5, now_s=61).recent_need == 2
    assert history.load(QueueDepth(), workers=2, now_s=120).recent_need == 0


def test_adopted_workers_get_the_same_patience() -> None:
    """A supervisor that starts anew does not know what the workers it finds were needed for."""
    history = LoadHistory(LIMITS)
    assert history.load(QueueDepth(), workers=3, now_s=100).recent_need == 3
    assert history.load(QueueDepth(), workers=3, now_s=161).recent_need == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 30)), min_size=1, max_size=60))
def test_no_worker_leaves_that_was_needed_within_the_last_minute(looks: list[tuple[int, float]]) -> None:
    history, workers, now_s = LoadHistory(LIMITS), 0, 0.0
    needs: list[tuple[float, int]] = []
    for queued, pause_s in looks:
        now_s += pause_s
        load = history.load(QueueDepth(queued=queued), workers, now_s)
        needs.append((now_s, workers_needed(load, LIMITS)))
        wanted = workers_wanted(load, LIMITS)
        assert wanted >= min(workers, max(need for then_s, need in needs if now_s - then_s <= LIMITS.patience_s))
        workers = wanted


def test_creation_pauses_double_up_to_a_minute_and_end_with_the_first_ready_worker() -> None:
    backoff, now_s, pauses_s = CreationBackoff(), 0.0, []
    for _ in range(8):
        backoff.failed(now_s)
        assert not backoff.over(now_s)
        pause_s = next(pause for pause in range(1, 100) if backoff.over(now_s + pause))
        pauses_s.append(pause_s)
        now_s += pause_s
    assert pauses_s == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    backoff.failed(now_s)
    backoff.reset()
    assert backoff.over(now_s)


def test_the_pause_stays_the_longest_however_many_workers_have_died() -> None:
    """64 of them, and a model that cannot be read for a quarter of an hour."""
    backoff = CreationBackoff()
    for _ in range(1_100):
        backoff.failed(now_s=0.0)
    assert not backoff.over(LONGEST_PAUSE_S - 1.0)
    assert backoff.over(LONGEST_PAUSE_S)


def test_cancelling_a_backlog_does_not_make_jobs_look_short() -> None:
    history = LoadHistory(LIMITS)
    history.load(QueueDepth(queued=50, running=1), workers=1, now_s=0)
    assert history.load(QueueDepth(running=1, cancelled=50), workers=1, now_s=10).job_s is None
