"""Paths: as good as the best of all subsets, honest about their error, and never across a change of network."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.bandit.kriging import RIDGE, kriging_weights
from fastflow_ray.bandit.planner import Path, Planner
from fastflow_ray.errors import InvalidInput

seeds = st.integers(0, 2**32 - 1)


def velocities(steps, rng, dim=64):
    """Smooth velocities with some roughness, (steps, dim): slow waves of random phase that grow over the steps."""
    t = np.linspace(0, 1, steps)[:, None]
    waves = sum(rng.normal(size=dim) / k * np.sin(k * t + rng.uniform(0, 6, dim)) for k in range(1, 7))
    return (1 + t) * waves + 1e-3 * rng.normal(size=(steps, dim))


def problem(steps, seed):
    """Mean inner products, dsigma and weight of one synthetic grid."""
    rng = np.random.default_rng(seed)
    observed = velocities(steps, rng)
    dsigma = -rng.uniform(0.5, 1.5, steps) / steps
    weight = np.append(rng.uniform(0.3, 3.0, steps), 1.0)
    return observed @ observed.T / observed.shape[1], dsigma, weight


def skip_error(mean, dsigma, p, i, j, reintegrate):
    """dᵀRd, literally: every skipped step predicted on its own, with R the covariance of the residuals.

    `p` is None where nothing was evaluated before i."""
    skipped = list(range(i + 1, j))
    history = [step for step in (p, i) if step is not None] + ([j] if reintegrate and j < len(mean) else [])
    if not skipped:
        return 0.0
    A = mean[np.ix_(history, history)]
    B = mean[np.ix_(history, skipped)]
    W = np.linalg.solve(A + RIDGE * np.trace(A) / len(history) * np.eye(len(history)), B)
    R = mean[np.ix_(skipped, skipped)] - B.T @ W - W.T @ B + W.T @ A @ W
    return max(float(dsigma[skipped] @ R @ dsigma[skipped]), 0.0)


def allowed(p, i, j, longest, restarts):
    """Whether i + 1 … j − 1 may be skipped after evaluating p and i."""
    across = p is not None and any(p < r <= i for r in restarts) and j > i + 1
    needed = any(i < step < j for r in restarts for step in (r, r + 1))
    return not (across or needed or j - i - 1 > longest)


def moves(evaluated, steps):
    """The evaluation before last, if there was one, the last one and the next, or the end, along a path."""
    return zip([None, *evaluated[:-1]], evaluated, [*evaluated[1:], steps], strict=True)


def all_paths(steps, sparse):
    """Of two evaluations and more."""
    begun, rest = ((0,), range(1, steps)) if sparse else ((0, 1), range(2, steps))
    return [(*begun, *more) for count in range(len(begun) % 2, steps) for more in combinations(rest, count)]


@settings(max_examples=20)
@given(
    seeds,
    st.booleans(),
    st.integers(1, 7),
    st.booleans(),
    st.sets(st.integers(0, 7), max_size=2),
    st.sampled_from([0.0, 1.5, 2.0]),
)
def test_no_subset_of_the_steps_is_better(seed, reintegrate, longest, sparse, restarts, caution):
    mean, dsigma, weight = problem(8, seed)
    options = {"reintegrate": reintegrate, "longest": longest, "sparse": sparse, "restarts": restarts}
    options["caution"] = caution
    planner = Planner(mean, dsigma, weight, **options)
    price = {
        (p, i, j): weight[j] ** 2
        * (j - i) ** caution
        * skip_error(mean, dsigma, p, i, j, reintegrate and j not in restarts)
        if allowed(p, i, j, longest, restarts)
        else np.inf
        for p, i, j in [*combinations(range(9), 3), *((None, 0, j) for j in range(1, 9))]
    }
    errors = {path: sum(price[move] for move in moves(path, 8)) for path in all_paths(8, sparse)}
    assert planner.fewest == min(len(path) for path, error in errors.items() if error < np.inf)
    for evaluations in range(planner.fewest, 9):
        path = planner.path(evaluations)
        best = min(error for other, error in errors.items() if len(other) <= evaluations)
        assert path.expected_error == pytest.approx(best, rel=1e-6, abs=1e-14)
        assert errors[path.evaluated] == pytest.approx(best, rel=1e-6, abs=1e-14)
        assert len(path.evaluated) <= evaluations


def longest_of_ten(problem, caution):
    return int(max(np.diff([*Planner(*problem, caution=caution).path(10).evaluated, 30])))


def test_the_more_caution_the_shorter_the_longest_skip():
    for seed in range(4):
        bold, cautious, timid = (longest_of_ten(problem(30, seed), caution) for caution in (0.0, 2.0, 20.0))
        assert bold >= cautious >= timid == 4, "as even as two first steps and eight more can be"
    mean, dsigma, _ = problem(30, 0)
    late = np.geomspace(100, 1, 31)
    assert longest_of_ten((mean, dsigma, late), 0.0) > longest_of_ten((mean, dsigma, late), 2.0)


def recurrence(mean, dsigma, weight, longest):
    """Least error by number of evaluations, cell by cell: cost[p, i][n] over the pairs of evaluations."""
    steps, cost, least = len(mean), {(0, 1): {2: 0.0}}, {}
    for i in range(1, steps):
        for p in range(max(0, i - longest - 1), i):
            for j in range(i + 1, min(i + longest + 1, steps) + 1):
                price = weight[j] ** 2 * skip_error(mean, dsigma, p, i, j, True)
                for n, so_far in cost.get((p, i), {}).items():
                    reached, made = (cost.setdefault((i, j), {}), n + 1) if j < steps else (least, n)
                    reached[made] = min(so_far + price, reached.get(made, np.inf))
    return least


def test_the_dynamic_programme_is_the_recurrence():
    mean, dsigma, weight = problem(20, 0)
    planner, least = Planner(mean, dsigma, weight, longest=5), recurrence(mean, dsigma, weight, 5)
    assert planner.fewest == min(least)
    for evaluations in range(planner.fewest, 21):
        best = min(error for n, error in least.items() if n <= evaluations)
        assert planner.path(evaluations).expected_error == pytest.approx(best, rel=1e-6, abs=1e-14)


@settings(max_examples=20)
@given(seeds, st.booleans())
def test_more_evaluations_never_expect_more_error(seed, reintegrate):
    planner = Planner(*problem(20, seed), reintegrate=reintegrate)
    paths = [planner.path(evaluations) for evaluations in range(planner.fewest, 21)]
    assert all(fewer.expected_error >= more.expected_error for fewer, more in pairwise(paths))
    assert paths[0].expected_error > 0
    assert paths[-1] == planner.path(1000) == Path(tuple(range(20)), 0.0)


@settings(max_examples=20)
@given(seeds)
def test_units_do_not_matter(seed):
    mean, dsigma, weight = problem(20, seed)
    ours, theirs = Planner(mean, dsigma, weight), Planner(10 * mean, dsigma, weight)
    for evaluations in (5, 8, 12):
        assert ours.path(evaluations).evaluated == theirs.path(evaluations).evaluated
        assert theirs.path(evaluations).expected_error == pytest.approx(10 * ours.path(evaluations).expected_error)


def test_the_second_step_is_evaluated_only_where_it_is_worth_it():
    """Among velocities that hardly change at first, and where that of step 1 is large and told by no other."""
    calm, dsigma, _ = problem(20, 2)
    alone = np.zeros((20, 20))
    alone[1, 1] = 100 * calm.max()
    for mean, second in ((calm, False), (calm + alone, True)):
        path = Planner(mean, dsigma, np.ones(21), sparse=True).path(6)
        assert (path.evaluated[1] == 1) == second
        assert path.expected_error <= Planner(mean, dsigma, np.ones(21)).path(6).expected_error


def test_weight_draws_evaluations_to_where_it_lies():
    mean, dsigma, _ = problem(30, 1)
    early, late = np.ones(31), np.ones(31)
    early[:15], late[15:30] = 30.0, 30.0
    early_path, late_path = (Planner(mean, dsigma, weight).path(12).evaluated for weight in (early, late))
    assert sum(step < 15 for step in early_path) > sum(step < 15 for step in late_path)


@pytest.mark.parametrize("reintegrate", [True, False])
@pytest.mark.parametrize("restart", [1, 7, 18, 19])
def test_a_new_network_starts_a_new_history(restart, reintegrate):
    mean, dsigma, weight = problem(20, 3)
    path = Planner(mean, dsigma, weight, reintegrate=reintegrate, restarts=[restart]).path(9)
    assert {restart, min(restart + 1, 19)} <= set(path.evaluated)
    # What the two networks have in common cannot matter, for nothing is predicted across.
    foreign = mean.copy()
    foreign[:restart, restart:] = foreign[restart:, :restart] = 0.0
    assert Planner(foreign, dsigma, weight, reintegrate=reintegrate, restarts=[restart]).path(9) == path


def skip_displacements(path, run, dsigma, mean):
    """The error in x that each skip of a path leaves when the velocities of `run`, (steps, dim), are given."""
    for p, i, j in moves(path.evaluated, len(run)):
        history = [step for step in (p, i, j) if step is not None and step < len(run)]
        weights = kriging_weights(mean, history, range(i + 1, j))
        yield dsigma[i + 1 : j] @ (run[i + 1 : j] - weights.T @ run[history])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("evaluations", [8, 12, 19])
def test_every_skip_leaves_the_error_that_was_expected(evaluations, sparse):
    steps, dsigma = 50, np.full(50, -1 / 50)
    runs = [velocities(steps, np.random.default_rng(seed), dim=1000) for seed in range(16)]
    mean = np.mean([run @ run.T / 1000 for run in runs[:8]], axis=0)
    planner = Planner(mean, dsigma, np.ones(steps + 1), sparse=sparse)
    path = planner.path(evaluations)
    happened = [np.mean(error**2) for run in runs[8:] for error in skip_displacements(path, run, dsigma, mean)]
    assert np.sum(happened) / 8 == pytest.approx(path.expected_error, rel=0.1)
    assert path.expected_error < 0.1 * planner.path(planner.fewest).expected_error


@pytest.mark.parametrize("evaluations", [8, 12, 19])
def test_the_error_at_the_end_is_the_expected_one_where_skips_err_independently(evaluations):
    """A random walk between two evaluations knows nothing of the walk elsewhere."""
    steps, dsigma = 50, np.full(50, -1 / 50)
    walk = np.cumsum(np.random.default_rng(0).normal(size=(steps, 10_000)), axis=0)
    mean = np.minimum.outer(np.arange(steps), np.arange(steps)) + 1.0
    path = Planner(mean, dsigma, np.ones(steps + 1)).path(evaluations)
    happened = np.mean(sum(skip_displacements(path, walk, dsigma, mean)) ** 2)
    assert happened == pytest.approx(path.expected_error, rel=0.1)


def test_kriging_predicts_what_is_a_mixture_exactly():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(2, 1000))
    run = np.vstack([seen, 2 * seen[1] - seen[0]])
    mean = run @ run.T / 1000
    assert kriging_weights(mean, [0, 1], 2) == pytest.approx([-1, 2], abs=1e-5)
    assert kriging_weights(mean, (0, 1), [2, 0]) == pytest.approx(np.array([[-1, 1], [2, 0]]), abs=1e-5)


def test_kriging_is_the_best_linear_prediction():
    mean, _, _ = problem(10, 5)
    history, k = [1, 3, 4], 7
    best = kriging_weights(mean, history, k)

    def error(w):
        return mean[k, k] - 2 * w @ mean[history, k] + w @ mean[np.ix_(history, history)] @ w

    for nudge in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        assert error(best + nudge) > error(best)


def test_velocities_that_are_all_zero_can_be_planned():
    path = Planner(np.zeros((9, 9)), np.full(9, -1 / 9), np.ones(10)).path(5)
    assert (len(path.evaluated), path.expected_error) == (5, 0.0)
    assert kriging_weights(np.zeros((9, 9)), [0, 1], 2).tolist() == [0, 0]


@pytest.mark.parametrize("evaluations", [-1, 0, 1, 4])
def test_too_few_evaluations_are_refused(evaluations):
    with pytest.raises(InvalidInput, match="ask for at least 5"):
        Planner(*problem(50, 0)).path(evaluations)


def test_the_fewest_evaluations_reach_the_end():
    assert len(Planner(*problem(50, 0)).path(5).evaluated) == 5
    assert Planner(*problem(10, 0)).path(2).evaluated == (0, 1)


def test_a_path_takes_no_more_rounds_than_it_has_evaluations():
    planner = Planner(*problem(50, 0))
    assert len(planner.path(19).evaluated) == len(planner._rounds) == 19
    planner.path(6)
    assert len(planner._rounds) == 19, "what was worked out is kept"


@pytest.mark.parametrize(
    ("shapes", "options", "remedy"),
    [
        (((5, 5), (5,), (5,)), {}, "shapes"),
        (((5, 4), (5,), (6,)), {}, "shapes"),
        (((1, 1), (1,), (2,)), {}, "N ≥ 2"),
        (((5, 5), (5,), (6,)), {"longest": 0}, "at least 1"),
        (((5, 5), (5,), (6,)), {"restarts": [5]}, "0 to 4"),
        (((5, 5), (5,), (6,)), {"restarts": [-1]}, "0 to 4"),
    ],
)
def test_what_cannot_be_planned_is_refused(shapes, options, remedy):
    with pytest.raises(InvalidInput, match=remedy):
        Planner(*map(np.ones, shapes), **options)


@pytest.mark.parametrize("spoilt", range(3))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(spoilt, value):
    arrays = problem(5, 0)
    arrays[spoilt].flat[2] = value
    with pytest.raises(InvalidInput, match="full run first"):
        Planner(*arrays)
