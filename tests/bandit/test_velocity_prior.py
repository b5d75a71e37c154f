"""What velocities are taken to be like before any is seen, and how soon that gives way to what was."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fastflow_ray.bandit.inner_products import SUPPOSED, InnerProducts
from fastflow_ray.bandit.kriging import kriging_weights
from fastflow_ray.bandit.velocity_prior import DEVIATIONS, velocity_prior

SIGMAS = np.linspace(1, 0, 11) * 3 / (1 + 2 * np.linspace(1, 0, 11))
FINE = 400  # steps of Euler for one of the grid


def gaussian_flow() -> np.ndarray:
    """The velocities at the steps of the grid, (steps, deviations), of the flow from noise, 1 in every direction, to
    Gaussian data: what x is expected to go to, given where it is, solved by many small steps."""
    x, variance, velocities = np.ones_like(DEVIATIONS), DEVIATIONS**2, []
    for start, end in pairwise(SIGMAS):
        for small, sigma in enumerate(np.linspace(start, end, FINE, endpoint=False)):
            data = (1 - sigma) * variance / ((1 - sigma) ** 2 * variance + sigma**2) * x
            v = (x - data) / sigma
            if not small:
                velocities.append(v)
            x = x + (end - start) / FINE * v
    return np.array(velocities)


def runs_of(dimensions: int, runs: int) -> InnerProducts:
    """Of generations whose velocities all span so few dimensions."""
    rng, products = np.random.default_rng(0), InnerProducts.empty(len(SIGMAS) - 1)
    for _ in range(runs):
        v = np.cumsum(rng.normal(size=(products.steps, dimensions)), axis=0)
        products.add_run(v @ v.T / dimensions)
    return products


def missed(mean: np.ndarray, weights: np.ndarray, history: list[int], step: int) -> float:
    """The expected squared error of the prediction, of the velocity's square."""
    left = np.zeros(len(mean))
    left[history], left[step] = weights, -1
    return float(left @ mean @ left / mean[step, step])


def test_the_prior_is_of_a_flow_to_gaussian_data():
    v = gaussian_flow()
    assert velocity_prior(SIGMAS) == pytest.approx(v @ v.T / (v**2).sum(1).mean(), rel=0.02, abs=0.01)


def test_it_could_be_of_velocities_and_is_1_on_average():
    prior = velocity_prior(SIGMAS)
    assert prior.shape == (10, 10)
    assert np.array_equal(prior, prior.T)
    assert np.linalg.eigvalsh(prior).min() > -1e-12
    assert prior.diagonal().mean() == pytest.approx(1)


def test_one_run_of_few_dimensions_predicts_nothing_with_certainty():
    products, history, step = runs_of(2, 1), [0, 3], 8
    weights = kriging_weights(products.mean, history, step)
    assert missed(products.mean, weights, history, step) < 1e-6, "by the mean alone two velocities tell of all others"
    assert missed(products.expected(velocity_prior(SIGMAS)), weights, history, step) > 1e-3
    of_expected = kriging_weights(products.expected(velocity_prior(SIGMAS)), history, step)
    assert np.abs(of_expected).sum() < np.abs(weights).sum()


def test_the_more_runs_the_less_is_supposed():
    prior, further = velocity_prior(SIGMAS), []
    for runs in (1, 10, 100):
        products = runs_of(30, runs)
        level = products.mean.diagonal().mean()
        further.append(np.abs(products.expected(prior) - products.mean).max() / level)
        assert products.expected(prior).diagonal().mean() == pytest.approx(level), "how large they are is not supposed"
    assert further[0] > 5 * further[1] > 25 * further[2] > 0


def test_what_counts_less_than_a_run_gives_way_less():
    products, prior = runs_of(30, 4), velocity_prior(SIGMAS)
    lent = products.lent(0.5)
    away, lent_away = (np.abs(each.expected(prior) - each.mean).max() for each in (products, lent))
    assert lent_away / away == pytest.approx((4 + SUPPOSED) / (0.5 + SUPPOSED))


def test_before_any_generation_nothing_is_known():
    assert np.isnan(InnerProducts.empty(10).expected(velocity_prior(SIGMAS))).all()
