"""What is learnt of trajectories: sums that merge, skipping runs completed by expectation, and damage refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.bandit.candidates import CANDIDATES
from fastflow_ray.bandit.gram import completed
from fastflow_ray.bandit.trajectory import BAND, COMPLETED, NEARBY, TrajectoryTable, growth_prior
from fastflow_ray.errors import InvalidInput, StatisticsMismatch

STEPS, GRID = 5, "a-grid"

run_seeds = st.integers(0, 2**32 - 1)


# Multiples of 1/64 multiply and add without rounding, so that equality below is of every bit.
@st.composite
def tables(draw):
    table, rng = TrajectoryTable.empty(STEPS, GRID), np.random.default_rng(draw(run_seeds))
    for _ in range(draw(st.integers(0, 3))):
        velocity = rng.integers(-256, 256, (STEPS, 2)) / 64
        table.add_run(velocity @ velocity.T)
    for _ in range(draw(st.integers(0, 3))):
        table.add_growth(rng.integers(-256, 256, STEPS) / 64, rng.random(STEPS) < 0.5)
    for _ in range(draw(st.integers(0, 3))):
        table.add_block(range(STEPS), 4 * np.eye(STEPS), np.eye(STEPS))
        table.evaluations += STEPS
        table.audit_evaluations += draw(st.integers(0, 9))
        table.audits.note("line", draw(st.integers(0, 3)), 40.0, draw(st.integers(0, 99)))
    table.miss_count += draw(st.integers(0, 2))
    table.miss_log_sum += table.miss_count * rng.integers(-64, 64, STEPS) / 64
    table.miss_square_sum += table.miss_count * rng.integers(0, 64, STEPS) / 64
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
    merged.add_growth(np.ones(STEPS), np.full(STEPS, True))
    merged.add_miss(2, 3.0)
    merged.audits.note("line", 4, 40.0, 41.0)
    assert (said(a), said(b)) == before
    assert said(a.merge(TrajectoryTable.empty(STEPS, GRID), "k")) == said(a)


@given(tables())
def test_the_document_keeps_every_bit(table):
    again = TrajectoryTable.from_dict(json.loads(said(table)))
    assert said(again) == said(table)
    assert np.array_equal(again.products, table.products)
    assert again.weight == table.weight


def test_the_document_keeps_awkward_floats_too():
    table = TrajectoryTable.empty(STEPS, GRID)
    velocity = np.random.default_rng(0).normal(size=(STEPS, 7))
    table.add_run(velocity @ velocity.T)
    table.add_block([0, 2], velocity[[0, 2]] @ velocity[[0, 2]].T, table.mean)
    table.add_growth(velocity[:, 0], np.full(STEPS, True))
    table.add_miss(2, 0.1 + 0.2)
    again = TrajectoryTable.from_dict(json.loads(said(table)))
    for name in (
        "products",
        "growth_log_sum",
        "growth_count",
        "miss_log_sum",
        "miss_square_sum",
        "miss_count",
    ):
        ours, theirs = getattr(table, name), getattr(again, name)
        assert np.array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert (again.runs, again.full_runs, again.weight) == (2, 1, 1.25)


def test_fifty_steps_stay_below_64_kib():
    table = learnt(50, range(4))
    for seed in range(200):
        table.add_block([0, 1, 9, 30], gram(smooth_run(50, seed))[np.ix_([0, 1, 9, 30], [0, 1, 9, 30])], table.mean)
    rng = np.random.default_rng(0)
    table.add_growth(rng.normal(size=50), np.full(50, True))
    for step in range(50):
        table.add_miss(step, rng.lognormal())
    for candidate in CANDIDATES:
        for boldness in (1, 4, 6, 8, 10):
            for measured_db in rng.normal(45, 8, 40):
                table.audits.note(candidate.name, boldness, 45.0, measured_db, ssim=rng.random())
    assert len(said(table)) < 64 * 1024


def test_tables_of_another_kind_are_refused():
    table = TrajectoryTable.empty(STEPS, GRID)
    for other in (TrajectoryTable.empty(STEPS + 1, GRID), TrajectoryTable.empty(STEPS, "another")):
        with pytest.raises(StatisticsMismatch, match=r"'k'.*use another key"):
            table.merge(other, "k")


def test_the_mean_is_per_generation_and_unknown_before_the_first():
    table = TrajectoryTable.empty(STEPS, GRID)
    assert np.isnan(table.mean).all()
    table.add_run(np.full((STEPS, STEPS), 1.0))
    table.add_run(np.full((STEPS, STEPS), 4.0))
    assert (table.mean == 2.5).all()
    assert (table.runs, table.full_runs) == (2, 2)


# How deviations grow


def test_before_any_audit_early_deviations_are_taken_to_outgrow_late_ones_eightfold():
    growth = TrajectoryTable.empty(50, GRID).growth
    assert growth == pytest.approx(growth_prior(50))
    assert growth[[0, 25, 50]] == pytest.approx([8, math.sqrt(8), 1])


def test_one_audit_weighs_as_much_as_the_prior_and_many_overrule_it():
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_growth(np.log([4.0, 1, 1, 1, 1]), np.full(STEPS, True))
    prior = growth_prior(STEPS)
    assert table.growth[1:] == pytest.approx(np.sqrt(prior[1:]))
    assert table.growth[0] == pytest.approx(np.sqrt(4 * prior[0]))
    for _ in range(2000):
        table.add_growth(np.log([4.0, 0.5, 1, 1, 1]), np.full(STEPS, True))
    assert table.growth == pytest.approx([2, 0.5, 1, 1, 1, 1], rel=1e-2)


def test_steps_an_audit_did_not_measure_keep_what_they_knew():
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_growth(np.array([np.nan, np.nan, 0.7, np.nan, np.nan]), np.arange(STEPS) == 2)
    prior = growth_prior(STEPS)
    factors = table.growth[:-1] / table.growth[1:]
    expected = prior[:-1] / prior[1:]
    expected[2] = np.sqrt(expected[2] * np.exp(0.7))
    assert factors == pytest.approx(expected)
    assert table.growth_count.tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("log_growth", "known"),
    [
        (np.zeros(STEPS + 1), np.full(STEPS, True)),
        (np.zeros(STEPS), np.full(STEPS - 1, True)),
        (np.zeros(STEPS), np.ones(STEPS)),
        (np.full(STEPS, np.nan), np.full(STEPS, True)),
        (np.full(STEPS, -np.inf), np.full(STEPS, True)),
    ],
)
def test_a_growth_that_was_not_measured_is_refused(log_growth, known):
    table = TrajectoryTable.empty(STEPS, GRID)
    with pytest.raises(InvalidInput):
        table.add_growth(log_growth, known)
    assert said(table) == said(TrajectoryTable.empty(STEPS, GRID))


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
    known, run = learnt(20, range(3)).mean, gram(smooth_run(20, seed))
    whole = completed(steps, sub_block(run, steps), known)
    assert np.linalg.eigvalsh(whole).min() > -1e-12 * np.trace(whole)
    assert np.array_equal(whole, whole.T)
    assert sub_block(whole, steps) == pytest.approx(sub_block(run, steps), rel=1e-12)


def test_a_block_of_all_steps_says_what_a_full_run_says_with_less_weight():
    run, known = gram(smooth_run(20, 9)), learnt(20, [1]).mean
    by_run, by_block = TrajectoryTable.empty(20, GRID), TrajectoryTable.empty(20, GRID)
    by_run.add_run(run)
    by_block.add_block(range(20), run, known)
    assert np.array_equal(COMPLETED * by_run.products, by_block.products)
    assert np.array_equal(by_run.mean, by_block.mean)
    assert (by_run.weight, by_block.weight) == (1, COMPLETED)
    assert (by_block.runs, by_block.full_runs) == (1, 0)


def test_a_completed_run_is_nearer_to_the_truth_than_the_mean():
    known, steps = learnt(20, range(30)).mean, [0, 1, 4, 8, 12, 16, 19]
    for seed in range(100, 120):
        truth = gram(smooth_run(20, seed))
        whole = completed(steps, sub_block(truth, steps), known)
        assert np.linalg.norm(whole - truth) < 0.2 * np.linalg.norm(known - truth)


def test_the_mean_explains_itself():
    """Where a run is like the mean, completing it changes nothing: the fixed point of expectation maximisation."""
    known = learnt(20, range(30)).mean
    whole = completed([0, 1, 7, 15], sub_block(known, [0, 1, 7, 15]), known)
    assert whole == pytest.approx(known, rel=1e-5)


def test_skipping_runs_bring_one_full_run_nearer_to_the_truth():
    truth = learnt(20, range(1000, 1200)).mean
    table, rng = learnt(20, [2]), np.random.default_rng(0)
    before = np.linalg.norm(table.mean - truth)
    for seed in range(3, 43):
        steps = sorted({0, 1, *rng.choice(20, 8, replace=False).tolist()})
        table.add_block(steps, sub_block(gram(smooth_run(20, seed)), steps), table.mean)
    assert np.linalg.norm(table.mean - truth) < 0.5 * before
    assert np.linalg.eigvalsh(table.mean).min() > -1e-12 * np.trace(table.mean)
    assert (table.runs, table.full_runs) == (41, 1)


def test_an_empty_delta_is_completed_with_what_the_fleet_knows():
    fleet, run = learnt(20, range(3)), gram(smooth_run(20, 7))
    delta = TrajectoryTable.empty(20, GRID)
    delta.add_block([0, 1, 5, 11], sub_block(run, [0, 1, 5, 11]), fleet.mean)
    merged = fleet.merge(delta, "k")
    assert (merged.runs, merged.full_runs, delta.runs, delta.full_runs) == (4, 3, 1, 0)
    assert np.isfinite(delta.mean).all()


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
        table.add_block(steps, np.eye(size), known)
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


# Misses of predictions, and their band


def test_before_any_miss_the_band_is_two_spreads_of_three():
    assert TrajectoryTable.empty(STEPS, GRID).band(2) == pytest.approx(3**BAND)


def test_a_band_follows_what_was_seen_and_says_nothing_of_other_steps():
    table = TrajectoryTable.empty(STEPS, GRID)
    for _ in range(4000):
        table.add_miss(2, 10.0)
        table.add_miss(2, 1000.0)
    assert math.log10(table.band(2)) == pytest.approx(2 + BAND, abs=0.02)  # mean 2, deviation 1, in decades
    assert table.band(3) == TrajectoryTable.empty(STEPS, GRID).band(3)


def test_steady_predictions_narrow_the_band():
    table = TrajectoryTable.empty(STEPS, GRID)
    bands = [table.band(2)]
    for _ in range(30):
        table.add_miss(2, 1.0)
        bands.append(table.band(2))
    assert bands == sorted(bands, reverse=True)
    assert 1 < bands[-1] < 0.5 * bands[0]


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_a_miss_that_is_no_ratio_teaches_nothing(ratio):
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_miss(2, ratio)
    assert said(table) == said(TrajectoryTable.empty(STEPS, GRID))


def test_before_any_miss_errors_are_as_expected():
    assert TrajectoryTable.empty(STEPS, GRID).excess == pytest.approx(np.ones(STEPS + 1))


def test_the_excess_is_the_mean_logarithm_of_the_misses_with_one_as_expected_among_them():
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_miss(2, 4.0)
    assert table.excess[2] == pytest.approx(2)
    table.add_miss(2, 16.0)
    assert table.excess[2] == pytest.approx(4)
    for _ in range(2000):
        table.add_miss(2, 10.0)
    assert table.excess_db[2] == pytest.approx(10, abs=0.02)


def test_where_nothing_was_seen_the_neighbours_tell_of_the_excess_and_at_the_end_the_last():
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_miss(4, 4.0)
    seen = NEARBY ** np.array([4, 3, 2, 1, 0, 1])
    assert table.excess == pytest.approx(4 ** (seen / (seen + 1)))
    table.add_miss(0, 0.25)
    assert table.excess[0] < 1 < table.excess[4]
    assert table.excess[2] == pytest.approx(1), "as far from the one as from the other"


def test_predictions_that_never_missed_are_not_taken_to_be_perfect():
    table = TrajectoryTable.empty(STEPS, GRID)
    for _ in range(50):
        table.add_miss(2, 1e-9)
    assert table.excess_db[2] == pytest.approx(-6, abs=0.03)


def test_however_much_its_neighbours_saw_a_step_believes_what_it_saw_itself():
    table = TrajectoryTable.empty(STEPS, GRID)
    for _ in range(5000):
        table.add_miss(2, 1.0)
    for _ in range(20):
        table.add_miss(4, 30.0)
    assert table.excess_db[4] == pytest.approx(10 * math.log10(30), rel=0.1)


# How velocities respond to a move of x


def responding(*audits: tuple[int, float, float]) -> TrajectoryTable:
    table = TrajectoryTable.empty(STEPS, GRID)
    for step, product, square in audits:
        only = np.arange(STEPS) == step
        table.add_response(product * only, square * only)
    return table


def test_where_x_was_never_moved_velocities_do_not_respond():
    assert TrajectoryTable.empty(STEPS, GRID).response.tolist() == [0] * STEPS


def test_the_response_is_of_all_audits_together_and_one_who_moved_x_further_says_more():
    assert responding((2, 0.5, 1.0)).response == pytest.approx(np.full(STEPS, 0.5)), "the others have no other to ask"
    assert responding((2, 0.5, 1.0), (2, 0.6, 3.0)).response[2] == pytest.approx(1.1 / 4)


def test_a_step_asks_the_nearer_ones_first():
    response = responding((0, 0.2, 1.0), (4, 0.8, 1.0)).response
    assert response[0] == pytest.approx((0.2 + 0.8 * NEARBY**4) / (1 + NEARBY**4))
    assert response[2] == pytest.approx(0.5)
    assert (np.diff(response) > 0).all()


@pytest.mark.parametrize(("product", "response"), [(-3.0, 0.0), (0.25, 0.25), (7.0, 1.0)])
def test_a_velocity_responds_at_most_so_that_the_sample_it_points_to_stays(product, response):
    assert responding((1, product, 1.0)).response == pytest.approx(np.full(STEPS, response))


@pytest.mark.parametrize(
    ("product", "square", "remedy"),
    [
        (np.ones(STEPS + 1), np.ones(STEPS), "each of"),
        (np.ones(STEPS), np.ones((STEPS, 1)), "each of"),
        (np.full(STEPS, math.nan), np.ones(STEPS), "finite"),
        (np.ones(STEPS), np.full(STEPS, math.inf), "finite"),
        (np.ones(STEPS), np.full(STEPS, -1.0), "0 or more"),
        (np.ones(STEPS), np.zeros(STEPS), "not moved"),
    ],
)
def test_a_response_that_cannot_be_teaches_nothing(product, square, remedy):
    table = TrajectoryTable.empty(STEPS, GRID)
    with pytest.raises(InvalidInput, match=remedy):
        table.add_response(product, square)
    assert said(table) == said(TrajectoryTable.empty(STEPS, GRID))


# What a neighbour lends


def test_borrowed_means_are_the_lenders_and_weigh_no_more_than_said():
    lender = learnt(20, range(5))
    lender.add_growth(np.full(20, 0.25), np.arange(20) < 10)
    lender.add_growth(np.full(20, 0.75), np.arange(20) < 10)
    lender.add_response(np.full(20, 3.0), np.full(20, 4.0))
    lender.add_miss(3, 7.0)
    lender.audits.note("line", 4, 40.0, 41.0)
    before = said(lender)
    lent = lender.borrowed(0.5)
    assert lent.weight == 0.5
    assert lent.mean == pytest.approx(lender.mean)
    assert (lent.runs, lent.full_runs, lent.evaluations, lent.audits.audits, lent.miss_count.sum()) == (0, 0, 0, 0, 0)
    assert lent.growth_count.tolist() == [1] * 10 + [0] * 10, "one audit's worth"
    assert lent.growth_log_sum[:10] == pytest.approx([0.5] * 10)
    assert lent.response == pytest.approx(np.full(20, 0.75))
    assert lent.response_weight == pytest.approx(np.full(20, 4.0 * 0.5 / 5)), "as much of it as of the mean"
    lent.products += 1
    lent.growth_log_sum += 1
    lent.response_sum += 1
    assert said(lender) == before


def test_a_lender_that_knows_less_than_that_lends_what_it_has():
    lender = TrajectoryTable.empty(20, GRID)
    lender.add_block(range(20), gram(smooth_run(20, 0)), np.eye(20))
    assert lender.borrowed(0.5).weight == COMPLETED
    assert lender.borrowed(0.5).mean == pytest.approx(lender.mean)
    assert TrajectoryTable.empty(20, GRID).borrowed(0.5).weight == 0


def test_a_borrower_soon_knows_better():
    """Two full runs of its own outweigh what was lent four times over."""
    lent, own = learnt(20, range(5)).borrowed(0.5), learnt(20, [50, 51])
    merged = lent.merge(own, "k")
    assert merged.weight == 2.5
    assert merged.mean == pytest.approx(0.8 * own.mean + 0.2 * lent.mean)


# Damaged documents

TRIANGLE = STEPS * (STEPS + 1) // 2


def document(**fields):
    """A valid document with some fields replaced."""
    table = TrajectoryTable.empty(STEPS, GRID)
    table.add_run(np.eye(STEPS))
    return table.to_dict() | fields


def test_the_undamaged_template_is_read():
    assert TrajectoryTable.from_dict(document()).runs == 1
    assert TrajectoryTable.from_dict(document(growth_log_sum=[-1.0] * STEPS, growth_count=[1] * STEPS)).growth[0] < 1


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
        document(growth_count=[2**64] * STEPS),
        document(miss_count=[-1] * STEPS),
        document(miss_count=[1.5] * STEPS),
        document(miss_count=[1] * (STEPS + 1)),
        document(miss_log_sum=[1.0] * STEPS),
        document(miss_log_sum=[float("nan")] * STEPS),
        document(miss_square_sum=[1.0] * STEPS),
        document(miss_square_sum=[-1.0] * STEPS, miss_count=[1] * STEPS),
        document(evaluations=-1),
        document(audit_evaluations=0.5),
        document(audits={}),
        document(audits=[3]),
        document(growth_log_sum=[float("nan")] * STEPS),
        document(growth_log_sum=[0.0] * (STEPS - 1)),
        document(growth_log_sum=[1.0] * STEPS),
        document(growth_count=[-1] * STEPS),
        document(growth_count=[0.5] * STEPS),
        document(growth_count=[]),
        document(growth_count=3),
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
