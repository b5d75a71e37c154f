"""A worker can tell by itself which part of its fleet's work it does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.planning.contribution import Contribution


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
