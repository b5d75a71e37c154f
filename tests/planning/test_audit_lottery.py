"""Audits are shared out: as many are begun as are lacking, by one worker or by a thousand that know nothing of each
other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.planning.audit_lottery import chance, lot


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
