"""What was learnt: sums that merge, JSON that keeps every bit, and damage that is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.statistics import ArmStatistics
from fastflow_ray.errors import StatisticsMismatch

STEPS, ARMS, GRID = 5, (0, 2, 4), "a-grid"
KIND = {"steps": STEPS, "arms": ARMS, "grid": GRID}

keys = st.sampled_from("abc")
# Multiples of 1/1024 add without rounding, so that equality below is of every bit.
errors = st.integers(0, 4096).map(lambda n: n / 1024)
pulls = st.tuples(keys, st.integers(0, STEPS - 1), st.sampled_from(ARMS), errors)
calibrations = st.tuples(keys, errors)


@st.composite
def statistics(draw):
    learnt = ArmStatistics()
    for key, *pull in draw(st.lists(pulls, max_size=6)):
        learnt.table(key, **KIND).update(*pull)
    for key, scale in draw(st.lists(calibrations, max_size=2)):
        learnt.table(key, **KIND).calibrate(scale * np.arange(STEPS))
        learnt.table(key, **KIND).runs += 1
    return learnt


@given(statistics(), statistics())
def test_merging_commutes(a, b):
    assert a.merge(b).to_json() == b.merge(a).to_json()


@given(statistics(), statistics(), statistics())
def test_merging_associates(a, b, c):
    assert a.merge(b).merge(c).to_json() == a.merge(b.merge(c)).to_json()


@given(statistics(), statistics())
def test_merging_changes_neither_side_and_shares_nothing(a, b):
    before = a.to_json(), b.to_json()
    merged = a.merge(b)
    for table in merged.tables.values():
        table.update(0, 0, 1.0)
        table.calibrate(np.ones(STEPS))
    assert (a.to_json(), b.to_json()) == before
    assert a.merge(ArmStatistics()).to_json() == a.to_json()


@given(statistics())
def test_json_keeps_every_bit(learnt):
    assert ArmStatistics.from_json(learnt.to_json()).to_json() == learnt.to_json()


def test_json_keeps_awkward_floats_too():
    learnt = ArmStatistics()
    learnt.table("k", **KIND).update(1, 2, 0.1 + 0.2)
    again = ArmStatistics.from_json(learnt.to_json()).tables["k"]
    assert again.error_sum[1, 1] == 0.1 + 0.2
    assert (again.pulls.dtype, again.error_sum.dtype, again.scale_error_sum.dtype) == (np.int64, float, float)


def test_values_by_hand():
    table = ArmTable.empty(STEPS, ARMS, GRID)
    assert table.mu == 0
    table.calibrate(np.array([0.0, 1.0, 3.0, 2.0, 0.0]))
    table.calibrate(np.array([0.0, 3.0, 2.0, 2.0, 0.0]))
    assert table.mu == 2.5 / 5  # the mean scale is largest at step 2; divided by N
    table.update(1, 4, 0.25)
    table.update(1, 4, 0.75)
    table.update(1, 0, 0.125)
    assert table.mean_error[1].tolist()[::2] == [0.125, 0.5]
    assert table.value[1].tolist()[::2] == [0 * 0.5 - 0.125, 4 * 0.5 - 0.5]
    assert math.isnan(table.value[1, 1])
    assert np.isnan(table.value[2]).all()


def test_two_workers_calibrations_average():
    merged = ArmStatistics()
    for scale in (1.0, 3.0):
        worker = ArmStatistics()
        worker.table("k", **KIND).calibrate(np.full(STEPS, scale))
        merged = merged.merge(worker)
    assert merged.tables["k"].mu == 2.0 / STEPS


def test_a_later_scale_revalues_what_was_learnt_before():
    table = ArmTable.empty(STEPS, ARMS, GRID)
    table.update(1, 2, 0.5)
    assert table.value[1, 1] == -0.5
    table.calibrate(np.full(STEPS, 5.0))
    assert table.value[1, 1] == 2 * 1.0 - 0.5


def test_it_can_be_shown():
    learnt = ArmStatistics()
    table = learnt.table("k", **KIND)
    table.calibrate(np.full(STEPS, 5.0))
    table.update(3, 2, 0.5)
    table.update(1, 0, 0.25)
    table.runs = 2
    rows = [(row.step, row.arm, row.pulls, row.mean_error, row.value) for row in learnt.describe("k")]
    assert rows == [(1, 0, 1, 0.25, -0.25), (3, 2, 1, 0.5, 1.5)]
    assert learnt.runs("k") == 2
    assert (learnt.describe("unknown"), learnt.runs("unknown")) == ([], 0)
    assert repr(learnt) == "ArmStatistics('k': 2 runs)"


@pytest.mark.parametrize("other", [{"steps": 6}, {"arms": (0, 2)}, {"grid": "another"}])
def test_statistics_of_another_kind_under_the_same_key_are_refused(other):
    learnt, theirs = ArmStatistics(), ArmStatistics()
    learnt.table("k", **KIND)
    theirs.table("k", **(KIND | other))
    with pytest.raises(StatisticsMismatch, match="use another key"):
        learnt.table("k", **(KIND | other))
    with pytest.raises(StatisticsMismatch, match="'k'"):
        learnt.merge(theirs)


def damaged(**fields):
    """Valid statistics with some fields of their one table replaced, as JSON."""
    learnt = ArmStatistics()
    learnt.table("k", **KIND)
    document = json.loads(learnt.to_json())
    document["tables"]["k"] |= fields
    return json.dumps(document)


def zeros(value=0):
    return [[value] * len(ARMS) for _ in range(STEPS)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"version": 2, "tables": {}}',
        '{"version": 1}',
        '{"version": 1, "tables": []}',
        '{"version": 1, "tables": {"k": {}}}',
        '{"version": 1, "tables": {"k": 3}}',
        damaged(surplus=1),
        damaged(grid=3),
        damaged(arms=3),
        damaged(arms=[]),
        damaged(arms=[0, 2, 2]),
        damaged(arms=[2, 4, 6]),
        damaged(arms=[0, 2]),
        damaged(pulls=zeros(-1)),
        damaged(pulls=zeros(0.5)),
        damaged(pulls=zeros(True)),
        damaged(pulls=zeros("1")),
        damaged(pulls=zeros(2**64)),
        damaged(pulls=[[0], [0, 0]]),
        damaged(error_sum=zeros()[1:]),
        damaged(error_sum=zeros(-0.5)),
        damaged(error_sum=zeros(float("nan"))),
        damaged(error_sum=zeros(float("inf"))),
        damaged(error_sum=zeros(1)).replace("1]", "1e999]"),
        damaged(scale_error_sum=[]),
        damaged(scale_error_sum=3),
        damaged(scale_error_sum=[-1.0] * STEPS),
        damaged(scale_runs=-1),
        damaged(scale_runs=1.5),
        damaged(runs=[1]),
        damaged(runs=None),
    ],
)
def test_damaged_or_foreign_json_is_refused(text):
    with pytest.raises(StatisticsMismatch, match="version 1"):
        ArmStatistics.from_json(text)


def test_the_undamaged_template_is_read():
    assert ArmStatistics.from_json(damaged()).runs("k") == 0
