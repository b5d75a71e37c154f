"""What is learnt of trajectories: sums that merge, skipping runs completed by expectation, and damage refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.bandit.gram import completed
from fastflow_ray.bandit.inner_products import COMPLETED
from fastflow_ray.bandit.smoothing import Smoothing
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput, StatisticsMismatch

STEPS, GRID = 5, "a-grid"

run_seeds = st.integers(0, 2**32 - 1)


def add_skipping(table: TrajectoryTable, steps, block, expected):
    """Learn from a generation that evaluated only `steps`."""
    table.add_completed(table.products.completed(steps, block, expected))


# Multiples of 1/64 multiply and add without rounding, so that equality below is of every bit.
@st.composite
def tables(draw):
    table, rng = TrajectoryTable.empty(STEPS, GRID), np.random.default_rng(draw(run_seeds))
    for _ in range(draw(st.integers(0, 3))):
        velocity = rng.integers(-256, 256, (STEPS, 2)) / 64
        table.add_run(velocity @ velocity.T)
    for _ in range(draw(st.integers(0, 3))):
        table.growth.add(rng.integers(-256, 256, STEPS) / 64, rng.random(STEPS) < 0.5)
    for _ in range(draw(st.integers(0, 3))):
        add_skipping(table, range(STEPS), 4 * np.eye(STEPS), np.eye(STEPS))
        table.evaluations += STEPS
        table.audit_evaluations += draw(st.integers(0, 9))
        table.audits.note("line", draw(st.integers(0, 3)), draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(0, 3))):
        table.response.add(rng.integers(-256, 256, STEPS) / 64, rng.integers(1, 256, STEPS) / 64)
        table.smoothing.add(draw(st.integers(-9, 9)) / 64)
    table.misses.count += draw(st.integers(0, 2))
    table.misses.log_sum += table.misses.count * rng.integers(-64, 64, STEPS) / 64
    table.misses.square_sum += table.misses.count * rng.integers(0, 64, STEPS) / 64
    return table


def said(table):
    return json.dumps(table.to_dict(), allow_nan=False)


@given(tables(), tables())
def test_merging_commutes(a, b):
    assert said(a.merge(b, "k")) == said(b.merge(a, "k"))


@given(tables(), tables(), tables())
def test_merging_associates(a, b, c):
    assert said(a.merge(b, "k").merge(c, "k")) == said(a.merge(b.merge(c, "k"), "k"))


@given(tables(), tables())
def test_merging_changes_neither_side_and_an_empty_table_changes_nothing(a, b):
    before = said(a), said(b)
    merged = a.merge(b, "k")
    merged.add_run(np.eye(STEPS))
    merged.growth.add(np.ones(STEPS), np.full(STEPS, True))
    merged.misses.add(2, 3.0)
    merged.smoothing.add(1.0)
    merged.audits.note("line", 4, 41.0)
    assert (said(a), said(b)) == before
    assert said(a.merge(TrajectoryTable.empty(STEPS, GRID), "k")) == said(a)


@given(tables())
def test_the_document_keeps_every_bit(table):
    again = TrajectoryTable.from_dict(json.loads(said(table)))
    assert said(again) == said(table)
    assert np.array_equal(again.products.sums, table.products.sums)
    assert again.products.weight == table.products.weight


def test_the_document_keeps_awkward_floats_too():
    table = TrajectoryTable.empty(STEPS, GRID)
    velocity = np.random.default_rng(0).normal(size=(STEPS, 7))
    table.add_run(velocity @ velocity.T)
    add_skipping(table, [0, 2], velocity[[0, 2]] @ velocity[[0, 2]].T, table.products.mean)
    table.growth.add(velocity[:, 0], np.full(STEPS, True))
    table.response.add(velocity[:, 1], velocity[:, 2] ** 2)
    table.misses.add(2, 0.1 + 0.2)
    again = TrajectoryTable.from_dict(json.loads(said(table)))
    assert np.array_equal(table.products.sums, again.products.sums)
    for room in ("growth", "response", "misses"):
        theirs = getattr(again, room).arrays()
        for name, ours in getattr(table, room).arrays().items():
            assert np.array_equal(ours, theirs[name])
            assert ours.dtype == theirs[name].dtype
    assert (again.runs, again.full_runs, again.products.weight) == (2, 1, 1 + COMPLETED)


def test_fifty_steps_stay_below_64_kib():
    table = learnt(50, range(4))
    for seed in range(200):
        add_skipping(
            table, [0, 1, 9, 30], gram(smooth_run(50, seed))[np.ix_([0, 1, 9, 30], [0, 1, 9, 30])], table.products.mean
        )
    rng = np.random.default_rng(0)
    table.growth.add(rng.normal(size=50), np.full(50, True))
    for step in range(50):
        table.misses.add(step, rng.lognormal())
    for candidate in CANDIDATES:
        for boldness in (1, 4, 6, 8, 10):
            for measured_db in rng.normal(45, 8, 80):
                table.audits.note(candidate.name, boldness, measured_db, rng.random(), tuple(range(0, 50, 2)))
    assert len(said(table)) < 64 * 1024


def test_tables_of_another_kind_are_refused():
    table = TrajectoryTable.empty(STEPS, GRID)
    for other in (TrajectoryTable.empty(STEPS + 1, GRID), TrajectoryTable.empty(STEPS, "another")):
        with pytest.raises(StatisticsMismatch, match=r"'k'.*use another key"):
            table.merge(other, "k")


def test_the_mean_is_per_generation_and_unknown_before_the_first():
    table = TrajectoryTable.empty(STEPS, GRID)
    assert np.isnan(table.products.mean).all()
    table.add_run(np.full((STEPS, STEPS), 1.0))
    table.add_run(np.full((STEPS, STEPS), 4.0))
    assert (table.products.mean == 2.5).all()
    assert (table.runs, table.full_runs) == (2, 2)


# Skipping runs


def smooth_run(steps, seed, dim=300):
    """Velocities of one generation, (steps, dim): a Gaussian process of a strength and a smoothness of its own."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, steps)
    covariance = np.exp(-(((t[:, None] - t) / rng.uniform(0.2, 0.4)) ** 2)) + 0.5
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return rng.uniform(0.5, 2) * root @ rng.normal(size=(steps, dim))


def gram(velocity):
    return velocity @ velocity.T / velocity.shape[1]


def learnt(steps, seeds):
    table = TrajectoryTable.empty(steps, GRID)
    for seed in seeds:
        table.add_run(gram(smooth_run(steps, seed)))
    return table


steps_seen = st.sets(st.integers(0, 19), min_size=1).map(sorted)


def sub_block(matrix, steps):
    return matrix[np.ix_(steps, steps)]


@settings(max_examples=30)
@given(run_seeds, steps_seen)
def test_a_completed_matrix_is_of_inner_products_and_keeps_what_was_seen(seed, steps):
    known, run = learnt(20, range(3)).products.mean, gram(smooth_run(20, seed))
    whole = completed(steps, sub_block(run, steps), known)
    assert np.linalg.eigvalsh(whole).min() > -1e-12 * np.trace(whole)
    assert np.array_equal(whole, whole.T)
    assert sub_block(whole, steps) == pytest.approx(sub_block(run, steps), rel=1e-12)


def test_a_block_of_all_steps_says_what_a_full_run_says_with_less_weight():
    run, known = gram(smooth_run(20, 9)), learnt(20, [1]).products.mean
    by_run, by_block = TrajectoryTable.empty(20, GRID), TrajectoryTable.empty(20, GRID)
    by_run.add_run(run)
    add_skipping(by_block, range(20), run, known)
    assert np.array_equal(COMPLETED * by_run.products.sums, by_block.products.sums)
    assert np.array_equal(by_run.products.mean, by_block.products.mean)
    assert (by_run.products.weight, by_block.products.weight) == (1, COMPLETED)
    assert (by_block.runs, by_block.full_runs) == (1, 0)


def test_a_completed_run_is_nearer_to_the_truth_than_the_mean():
    known, steps = learnt(20, range(30)).products.mean, [0, 1, 4, 8, 12, 16, 19]
    for seed in range(100, 120):
        truth = gram(smooth_run(20, seed))
        whole = completed(steps, sub_block(truth, steps), known)
        assert np.linalg.norm(whole - truth) < 0.2 * np.linalg.norm(known - truth)


def test_the_mean_explains_itself():
    """Where a run is like the mean, completing it changes nothing: the fixed point of expectation maximisation."""
    known = learnt(20, range(30)).products.mean
    whole = completed([0, 1, 7, 15], sub_block(known, [0, 1, 7, 15]), known)
    assert whole == pytest.approx(known, rel=1e-5)


def test_skipping_runs_bring_one_full_run_nearer_to_the_truth():
    truth = learnt(20, range(1000, 1200)).products.mean
    table, rng = learnt(20, [2]), np.random.default_rng(0)
    before = np.linalg.norm(table.products.mean - truth)
    for seed in range(3, 503):
        steps = sorted({0, 1, *rng.choice(20, 8, replace=False).tolist()})
        add_skipping(table, steps, sub_block(gram(smooth_run(20, seed)), steps), table.products.mean)
    assert np.linalg.norm(table.products.mean - truth) < 0.5 * before
    assert np.linalg.eigvalsh(table.products.mean).min() > -1e-12 * np.trace(table.products.mean)
    assert (table.runs, table.full_runs) == (501, 1)


def test_an_empty_delta_is_completed_with_what_the_fleet_knows():
    fleet, run = learnt(20, range(3)), gram(smooth_run(20, 7))
    delta = TrajectoryTable.empty(20, GRID)
    add_skipping(delta, [0, 1, 5, 11], sub_block(run, [0, 1, 5, 11]), fleet.products.mean)
    merged = fleet.merge(delta, "k")
    assert (merged.runs, merged.full_runs, delta.runs, delta.full_runs) == (4, 3, 1, 0)
    assert np.isfinite(delta.products.mean).all()


@pytest.mark.parametrize(
    ("steps", "size", "known", "remedy"),
    [
        ([0, 1], 2, np.full((STEPS, STEPS), np.nan), "full run"),
        ([0, 1], 2, np.eye(STEPS + 1), "full run"),
        ([], 0, np.eye(STEPS), "rise"),
        ([1, 0], 2, np.eye(STEPS), "rise"),
        ([0, 0], 2, np.eye(STEPS), "rise"),
        ([-1, 0], 2, np.eye(STEPS), "rise"),
        ([0, STEPS], 2, np.eye(STEPS), "rise"),
        ([0, 1], 3, np.eye(STEPS), "shape"),
    ],
)
def test_a_block_that_cannot_be_completed_is_refused(steps, size, known, remedy):
    table = TrajectoryTable.empty(STEPS, GRID)
    with pytest.raises(InvalidInput, match=remedy):
        add_skipping(table, steps, np.eye(size), known)
    assert said(table) == said(TrajectoryTable.empty(STEPS, GRID))


@pytest.mark.parametrize(
    ("spoilt", "remedy"),
    [
        (np.eye(STEPS + 1), "shape"),
        (np.full((STEPS, STEPS), np.nan), "failed run"),
        (np.full((STEPS, STEPS), np.inf), "failed run"),
        (-np.eye(STEPS), "failed run"),
        (np.triu(np.ones((STEPS, STEPS))), "symmetric"),
    ],
)
def test_a_failed_run_teaches_nothing(spoilt, remedy):
    table = TrajectoryTable.empty(STEPS, GRID)
    with pytest.raises(InvalidInput, match=remedy):
        table.add_run(spoilt)
    assert said(table) == said(TrajectoryTable.empty(STEPS, GRID))


# What a neighbour lends


def test_borrowed_means_are_the_lenders_and_weigh_no_more_than_said():
    lender = learnt(20, range(5))
    lender.growth.add(np.full(20, 0.25), np.arange(20) < 10)
    lender.growth.add(np.full(20, 0.75), np.arange(20) < 10)
    lender.response.add(np.full(20, 3.0), np.full(20, 4.0))
    lender.misses.add(3, 7.0)
    lender.smoothing.add(5.0)
    lender.audits.note("line", 4, 41.0)
    before = said(lender)
    lent = lender.borrowed(0.5)
    assert lent.products.weight == 0.5
    assert lent.products.mean == pytest.approx(lender.products.mean)
    assert (lent.runs, lent.full_runs, lent.evaluations) == (0, 0, 0)
    assert (lent.audits.most_audits, lent.misses.count.sum()) == (0, 0)
    assert lent.smoothing == Smoothing(), "which way is better belongs to the guidance"
    assert lent.growth.count.tolist() == [1] * 10 + [0] * 10, "one audit's worth"
    assert lent.growth.log_sum[:10] == pytest.approx([0.5] * 10)
    assert lent.response.share == pytest.approx(np.full(20, 0.75))
    assert lent.response.square == pytest.approx(np.full(20, 4.0 * 0.5 / 5)), "as much of it as of the mean"
    lent.products.sums += 1
    lent.growth.log_sum += 1
    lent.response.product += 1
    assert said(lender) == before


def test_a_lender_that_knows_less_than_that_lends_what_it_has():
    lender = TrajectoryTable.empty(20, GRID)
    add_skipping(lender, range(20), gram(smooth_run(20, 0)), np.eye(20))
    assert lender.borrowed(0.5).products.weight == COMPLETED
    assert lender.borrowed(0.5).products.mean == pytest.approx(lender.products.mean)
    assert TrajectoryTable.empty(20, GRID).borrowed(0.5).products.weight == 0


def test_a_borrower_soon_knows_better():
    """Two full runs of its own outweigh what was lent four times over."""
    lent, own = learnt(20, range(5)).borrowed(0.5), learnt(20, [50, 51])
    merged = lent.merge(own, "k")
    assert merged.products.weight == 2.5
    assert merged.products.mean == pytest.approx(0.8 * own.products.mean + 0.2 * lent.products.mean)


# Damaged documents

TRIANGLE = STEPS * (STEPS + 1) // 2


def document(**fields):
    """A valid document with some fields replaced."""
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_run(np.eye(STEPS))
    return table.to_dict() | fields


def room(name, **arrays):
    """A valid document with some arrays of one room replaced."""
    fields = document()
    return fields | {name: fields[name] | arrays}


def test_the_undamaged_template_is_read():
    assert TrajectoryTable.from_dict(document()).runs == 1
    shrinking = room("growth", log_sum=[-1.0] * STEPS, count=[1] * STEPS)
    assert TrajectoryTable.from_dict(shrinking).growth.to_end[0] < 1


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {},
        document(surplus=1),
        {name: value for name, value in document().items() if name != "runs"},
        document(grid=3),
        document(products=3),
        document(products=None),
        document(products=[1.0] * (TRIANGLE - 1)),
        document(products=[[1.0] * TRIANGLE]),
        document(products=[1.0] * (TRIANGLE - 1) + [[1.0]]),
        document(products=[float("nan")] * TRIANGLE),
        document(products=[float("inf")] * TRIANGLE),
        document(products=[-1.0] * TRIANGLE),
        document(products=["1"] * TRIANGLE),
        document(products=[True] * TRIANGLE),
        document(weight=0.0),
        document(weight=-1.0),
        document(weight=2.0),
        document(weight="1"),
        document(weight=float("inf")),
        document(weight=[1.0]),
        room("growth", count=[2**64] * STEPS),
        room("misses", count=[-1] * STEPS),
        room("misses", count=[1.5] * STEPS),
        room("misses", count=[1] * (STEPS + 1)),
        room("misses", log_sum=[1.0] * STEPS),
        room("misses", log_sum=[float("nan")] * STEPS),
        room("misses", square_sum=[1.0] * STEPS),
        room("misses", square_sum=[-1.0] * STEPS, count=[1] * STEPS),
        room("response", product=[1.0] * STEPS),
        room("response", square=[-1.0] * STEPS),
        room("response", square=[0.0] * (STEPS + 1)),
        room("response", surplus=[0.0] * STEPS),
        document(growth=[]),
        {name: value for name, value in document().items() if name != "misses"},
        document(evaluations=-1),
        document(audit_evaluations=0.5),
        document(audits={}),
        document(audits=[3]),
        room("growth", log_sum=[float("nan")] * STEPS),
        room("growth", log_sum=[0.0] * (STEPS - 1)),
        room("growth", log_sum=[1.0] * STEPS),
        room("growth", count=[-1] * STEPS),
        room("growth", count=[0.5] * STEPS),
        room("growth", count=[]),
        room("growth", count=3),
        document(runs=-1),
        document(runs=0),
        document(runs=1.5),
        document(runs=[1]),
        document(runs=None),
        document(full_runs=2),
        document(full_runs=-1),
    ],
)
def test_damaged_documents_are_refused(fields):
    with pytest.raises(ValueError, match=r"`|need|nothing"):
        TrajectoryTable.from_dict(fields)
