"""Audits are shared out: as many are begun as are lacking, by one worker or by a thousand that know nothing of each
other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.planning.audit_lottery import chance, lot
from fastflow_ray.planning.contribution import Contribution


@given(st.floats(1.0, 50.0), st.floats(0.0, 100.0))
def test_one_alone_makes_every_audit_that_is_lacking(wanted, jobs_long):
    assert chance(wanted, 1.0, jobs_long) >= 1


def begun_while_one_lasts(workers, jobs_long):
    """Of four audits that are lacking, the mean of 20 such times."""
    jobs = workers * jobs_long
    drawn = [lot(noise) for noise in np.random.default_rng(0).standard_normal((jobs * 20, 16))]
    return sum(each < chance(4.0, 1 / workers, jobs_long) for each in drawn) / 20


@pytest.mark.parametrize("workers", [16, 64, 1000])
@pytest.mark.parametrize("jobs_long", [1, 10])
def test_while_one_lasts_about_as_many_are_begun_as_are_lacking(workers, jobs_long):
    assert 3.0 < begun_while_one_lasts(workers, jobs_long) < 5.5


@pytest.mark.parametrize("jobs_long", [1, 10])
def test_in_a_small_fleet_a_quarter_audits_at_a_time(jobs_long):
    assert 1.2 < begun_while_one_lasts(8, jobs_long) < 2.8
    assert 0.6 < begun_while_one_lasts(2, jobs_long) < 2.4, "one, where a quarter is less"


def test_where_nothing_holds_it_back_all_of_a_small_fleet_audit():
    assert chance(64.0, 1 / 8, 2, most_at_once=math.inf) >= 1 > chance(64.0, 1 / 8, 2)


def test_who_has_no_part_in_the_work_has_none_in_audits():
    assert chance(4.0, 0.0, 10) == 0


def test_a_lot_is_the_noises_own():
    one, other = np.random.default_rng(0).standard_normal((2, 1024))
    assert lot(one) == lot(one.copy()) != lot(other)
    assert 0 <= lot(one) < 1


def test_a_worker_that_has_finished_nothing_cannot_tell_how_many_there_are():
    assert Contribution(fleet_runs_before=0).fleet_share(0) == 1, "none has: it may be the first"
    assert Contribution(fleet_runs_before=0).fleet_share(40) == 0
    assert Contribution(fleet_runs_before=40).fleet_share(40) == 0


def test_a_share_is_of_what_came_since_the_worker_did():
    assert Contribution(fleet_runs_before=0).fleet_share(1, under_way=1) == 1
    assert Contribution(fleet_runs_before=0, own_runs=1).fleet_share(8) == 1 / 8
    assert Contribution(fleet_runs_before=1_000_000, own_runs=1).fleet_share(1_000_008) == 1 / 8
    assert Contribution(fleet_runs_before=0, own_runs=3).fleet_share(16, under_way=1) == 1 / 4


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 9))
def test_a_share_is_one_whatever_a_fleet_has_lost(before, own, runs, under_way):
    """A fleet that was restored from an older copy knows less than when the worker came."""
    assert 0 <= Contribution(before, own).fleet_share(runs, under_way) <= 1
