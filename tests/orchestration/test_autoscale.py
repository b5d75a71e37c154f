"""How many workers: the policy as a function, over all numbers there could be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.errors import InvalidInput
from orchestration.autoscale import Limits, Load, workers_needed, workers_wanted

counts = st.integers(0, 200)
seconds = st.floats(0, 10_000)
loads = st.builds(
    Load,
    queued=counts,
    delayed=counts,
    running=counts,
    oldest_age_s=seconds,
    job_s=st.none() | seconds,
    workers=counts,
    recent_need=counts,
)
limits = st.tuples(st.integers(0, 50), st.integers(1, 50)).map(lambda pair: Limits(floor=min(pair), ceiling=max(pair)))


@settings(deadline=None)
@given(loads, limits)
def test_floor_and_ceiling_hold_whatever_the_load(load: Load, limits: Limits) -> None:
    assert limits.floor <= workers_needed(load, limits) <= workers_wanted(load, limits) <= limits.ceiling


@settings(deadline=None)
@given(loads, limits, counts)
def test_more_work_never_means_fewer_workers(load: Load, limits: Limits, more: int) -> None:
    wanted = workers_wanted(load, limits)
    for heavier in (
        replace(load, queued=load.queued + more),
        replace(load, delayed=load.delayed + more),
        replace(load, running=load.running + more),
        replace(load, oldest_age_s=load.oldest_age_s + more),
        replace(load, recent_need=load.recent_need + more),
    ):
        assert workers_wanted(heavier, limits) >= wanted


@settings(deadline=None)
@given(loads, limits)
def test_slower_jobs_never_mean_fewer_workers(load: Load, limits: Limits) -> None:
    quick = replace(load, job_s=1.0)
    assert workers_wanted(replace(load, job_s=100.0), limits) >= workers_wanted(quick, limits)


@settings(deadline=None)
@given(loads, limits)
def test_work_always_has_a_worker_coming_and_no_worker_comes_without_work(load: Load, limits: Limits) -> None:
    work = load.queued + load.delayed + load.running
    assert workers_needed(load, limits) >= min(work, 1)
    assert workers_needed(load, limits) <= max(work, limits.floor)


@settings(deadline=None)
@given(loads, limits)
def test_taking_up_a_queued_job_does_not_change_what_is_needed(load: Load, limits: Limits) -> None:
    """The workers added for a backlog must not themselves be a reason for more."""
    queued = replace(load, queued=load.queued + 1, oldest_age_s=0.0)
    running = replace(queued, queued=load.queued, running=load.running + 1)
    assert workers_needed(queued, limits) == workers_needed(running, limits)


@settings(deadline=None)
@given(loads, limits)
def test_the_answer_is_stable_once_the_workers_are_there(load: Load, limits: Limits) -> None:
    wanted = workers_wanted(load, limits)
    assert workers_wanted(replace(load, workers=wanted), limits) == wanted


def test_a_backlog_is_spread_so_that_it_ends_in_time() -> None:
    ten_minutes = Load(queued=40, running=0, job_s=15.0)
    assert workers_wanted(ten_minutes, Limits(ceiling=32, drain_s=60.0)) == 10
    assert workers_wanted(replace(ten_minutes, oldest_age_s=61.0), Limits(ceiling=32, drain_s=60.0)) == 32


def test_an_idle_fleet_without_a_floor_goes_to_zero_when_patience_ends() -> None:
    idle = Load(workers=4, recent_need=4, job_s=15.0)
    assert workers_wanted(idle, Limits(ceiling=8)) == 4
    assert workers_wanted(replace(idle, recent_need=0), Limits(ceiling=8)) == 0


@pytest.mark.parametrize(
    ("floor", "ceiling", "message"),
    [
        (-1, 2, "a floor of -1 workers is less than none; give 0 or more"),
        (0, 0, "a ceiling of 0 lets no worker make a video; give 1 or more"),
        (3, 2, "a floor of 3 workers is above the ceiling of 2; lower the floor to 2, or raise the ceiling to 3"),
    ],
)
def test_limits_that_contradict_themselves_are_refused(floor: int, ceiling: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Limits(floor=floor, ceiling=ceiling)
