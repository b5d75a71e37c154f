"""What was learnt: sums that merge, JSON that keeps every bit, and damage that is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import StatisticsMismatch

STEPS, ARMS, GRID = 5, (0, 2, 4), "a-grid"
KIND = {"steps": STEPS, "arms": ARMS, "grid": GRID}

keys = st.sampled_from("abc")
# Multiples of 1/1024 add without rounding, so that equality below is of every bit.
errors = st.integers(0, 4096).map(lambda n: n / 1024)
pulls = st.tuples(keys, st.integers(0, STEPS - 1), st.sampled_from(ARMS), errors)
calibrations = st.tuples(keys, errors)
full_runs = st.tuples(keys, st.integers(0, 2**32 - 1))


@st.composite
def statistics(draw):
    learnt = Statistics()
    for key, *pull in draw(st.lists(pulls, max_size=6)):
        learnt.table(key, **KIND).update(*pull)
    for key, scale in draw(st.lists(calibrations, max_size=2)):
        learnt.table(key, **KIND).calibrate(scale * np.arange(STEPS))
        learnt.table(key, **KIND).runs += 1
    for key, seed in draw(st.lists(full_runs, max_size=3)):
        rng, table = np.random.default_rng(seed), learnt.trajectory(key, steps=STEPS, grid=GRID)
        velocity = rng.integers(-256, 256, (STEPS, 2)) / 64
        table.add_run(velocity @ velocity.T)
        table.growth.add(rng.integers(-256, 256, STEPS) / 64, rng.random(STEPS) < 0.5)
        table.response.add(rng.integers(-256, 256, STEPS) / 64, rng.integers(1, 256, STEPS) / 64)
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
    for trajectory in merged.trajectories.values():
        trajectory.add_run(np.eye(STEPS))
    assert (a.to_json(), b.to_json()) == before


@given(statistics(), statistics())
def test_adding_is_merging_but_what_the_other_has_not_is_shared(a, b):
    before, learnt = a.to_json(), b.to_json()
    total = a.plus(b)
    assert total.to_json() == a.merge(b).to_json()
    for ours, theirs, both in (
        (a.tables, b.tables, total.tables),
        (a.trajectories, b.trajectories, total.trajectories),
    ):
        assert all(both[key] is ours[key] for key in ours.keys() - {*b.keys})
        assert not any(both[key] is table for kind in (ours, theirs) for key, table in kind.items() if key in b.keys)
    assert (a.to_json(), b.to_json()) == (before, learnt)


@given(statistics(), keys)
def test_owning_a_key_shares_all_others(a, key):
    own = a.owning(key)
    assert own.to_json() == a.to_json()
    for ours, shared in ((own.tables, a.tables), (own.trajectories, a.trajectories)):
        assert all((ours[other] is shared[other]) == (other != key) for other in shared)


@given(statistics(), statistics(), keys)
def test_pages_say_what_the_tables_do(a, b, key):
    pages = a.pages()
    assert json.loads(pages.to_json()) == {
        "version": 7,
        "arms": {each: table.to_dict() for each, table in a.tables.items()},
        "trajectories": {each: table.to_dict() for each, table in a.trajectories.items()},
    }
    assert pages.keys == {*a.keys}
    assert pages.only(key).to_json() == a.of(key).to_json()
    total = a.plus(b)
    assert pages.updated(total.of(*b.keys).pages()).to_json() == total.to_json()
    assert pages.to_json() == a.to_json()


@given(statistics())
def test_empty_statistics_are_neutral_and_false(a):
    assert a.merge(Statistics()).to_json() == Statistics().merge(a).to_json() == a.to_json()
    assert bool(a) == bool(a.keys) == (a.to_json() != Statistics().to_json())


@given(statistics())
def test_kept_key_by_key_they_are_the_same_again(a):
    documents = [a.of(key).to_json() for key in a.keys]
    assert Statistics.sum_of(documents).to_json() == a.to_json()
    assert sum(Statistics.from_json(text).runs(key) for key, text in zip(a.keys, documents, strict=True)) == sum(
        table.runs for kind in (a.tables, a.trajectories) for table in kind.values()
    )


@given(statistics())
def test_json_keeps_every_bit(learnt):
    assert Statistics.from_json(learnt.to_json()).to_json() == learnt.to_json()


def test_json_keeps_awkward_floats_too():
    learnt = Statistics()
    learnt.table("k", **KIND).update(1, 2, 0.1 + 0.2)
    again = Statistics.from_json(learnt.to_json()).tables["k"]
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
    merged = Statistics()
    for scale in (1.0, 3.0):
        worker = Statistics()
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
    learnt = Statistics()
    table = learnt.table("k", **KIND)
    table.calibrate(np.full(STEPS, 5.0))
    table.update(3, 2, 0.5)
    table.update(1, 0, 0.25)
    table.runs = 2
    rows = [(row.step, row.arm, row.pulls, row.mean_error, row.value) for row in learnt.describe("k")]
    assert rows == [(1, 0, 1, 0.25, -0.25), (3, 2, 1, 0.5, 1.5)]
    assert learnt.runs("k") == 2
    assert (learnt.describe("unknown"), learnt.runs("unknown")) == ([], 0)
    learnt.trajectory("k", steps=STEPS, grid=GRID).add_run(np.eye(STEPS))
    learnt.trajectory("j", steps=STEPS, grid=GRID)
    assert repr(learnt) == "Statistics('j': 0 runs, 'k': 3 runs)"


@pytest.mark.parametrize("other", [{"steps": 6}, {"arms": (0, 2)}, {"grid": "another"}])
def test_statistics_of_another_kind_under_the_same_key_are_refused(other):
    learnt, theirs = Statistics(), Statistics()
    learnt.table("k", **KIND)
    theirs.table("k", **(KIND | other))
    with pytest.raises(StatisticsMismatch, match="use another key"):
        learnt.table("k", **(KIND | other))
    with pytest.raises(StatisticsMismatch, match="'k'"):
        learnt.merge(theirs)


@pytest.mark.parametrize("other", [{"steps": 6, "grid": GRID}, {"steps": STEPS, "grid": "another"}])
def test_trajectories_of_another_kind_under_the_same_key_are_refused(other):
    learnt, theirs = Statistics(), Statistics()
    learnt.trajectory("k", steps=STEPS, grid=GRID)
    theirs.trajectory("k", **other)
    with pytest.raises(StatisticsMismatch, match="use another key"):
        learnt.trajectory("k", **other)
    with pytest.raises(StatisticsMismatch, match="'k'"):
        learnt.merge(theirs)


def test_one_key_may_have_arms_and_trajectories_of_other_grids():
    learnt = Statistics()
    learnt.table("k", **KIND)
    learnt.trajectory("k", steps=STEPS + 1, grid="another")
    assert Statistics.from_json(learnt.to_json()).keys == ["k"]


def test_a_key_of_fifty_steps_stays_below_64_kib():
    rng, learnt = np.random.default_rng(0), Statistics()
    arms = learnt.table("k", steps=50, arms=(0, 2, 4, 6), grid=GRID)
    arms.calibrate(rng.random(50))
    for step in range(50):
        for arm in arms.arms:
            arms.update(step, arm, rng.random())
    trajectories = learnt.trajectory("k", steps=50, grid=GRID)
    for _ in range(1_000):
        velocity = rng.normal(size=(50, 7))
        trajectories.add_run(velocity @ velocity.T)
    trajectories.growth.add(rng.normal(size=50), np.full(50, True))
    trajectories.response.add(rng.normal(size=50), rng.random(50))
    assert len(learnt.to_json()) < 64 * 1024


def damaged(kind="arms", **fields):
    """Valid statistics with some fields of the one table of a kind replaced, as JSON."""
    learnt = Statistics()
    learnt.table("k", **KIND)
    learnt.trajectory("k", steps=STEPS, grid=GRID)
    document = json.loads(learnt.to_json())
    document[kind]["k"] |= fields
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
        '{"version": 1, "tables": {}}',
        '{"version": 6, "arms": {}, "trajectories": {}}',
        '{"version": 8, "arms": {}, "trajectories": {}}',
        '{"version": 7}',
        '{"version": 7, "arms": {}}',
        '{"version": 7, "trajectories": {}}',
        '{"version": 7, "arms": [], "trajectories": {}}',
        '{"version": 7, "arms": {}, "trajectories": []}',
        '{"version": 7, "arms": {"k": {}}, "trajectories": {}}',
        '{"version": 7, "arms": {"k": 3}, "trajectories": {}}',
        '{"version": 7, "arms": {}, "trajectories": {"k": {}}}',
        '{"version": 7, "arms": {}, "trajectories": {"k": 3}}',
        damaged("trajectories", surplus=1),
        damaged("trajectories", products=[1.0]),
        damaged("trajectories", full_runs=1),
        damaged("trajectories", smoothing={"gain_sum": 1.0, "audits": 0}),
        damaged("trajectories", response={"product": [1.0] * STEPS, "square": [0.0] * STEPS}),
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
    with pytest.raises(StatisticsMismatch, match=r"not statistics of version 7: .*; begin with a new file"):
        Statistics.from_json(text)


def test_what_an_older_version_kept_is_named():
    with pytest.raises(StatisticsMismatch, match=r"they are of version 1; .*run one version in the whole fleet"):
        Statistics.from_json('{"version": 1, "tables": {}}')


def test_the_undamaged_template_is_read():
    assert Statistics.from_json(damaged()).runs("k") == 0
