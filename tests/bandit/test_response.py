"""How velocities respond where x is moved, by what audits saw."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastflow_ray.bandit.per_step import NEARBY
from fastflow_ray.bandit.response import Response
from fastflow_ray.errors import InvalidInput

STEPS = 5


def responding(*audits: tuple[int, float, float]) -> Response:
    response = Response.empty(STEPS)
    for step, product, square in audits:
        only = np.arange(STEPS) == step
        response.add(product * only, square * only)
    return response


def test_where_x_was_never_moved_velocities_do_not_respond():
    assert Response.empty(STEPS).share.tolist() == [0] * STEPS


def test_the_response_is_of_all_audits_together_and_one_who_moved_x_further_says_more():
    assert responding((2, 0.5, 1.0)).share == pytest.approx(np.full(STEPS, 0.5)), "the others have no other to ask"
    assert responding((2, 0.5, 1.0), (2, 0.6, 3.0)).share[2] == pytest.approx(1.1 / 4)


def test_a_step_asks_the_nearer_ones_first():
    share = responding((0, 0.2, 1.0), (4, 0.8, 1.0)).share
    assert share[0] == pytest.approx((0.2 + 0.8 * NEARBY**4) / (1 + NEARBY**4))
    assert share[2] == pytest.approx(0.5)
    assert (np.diff(share) > 0).all()


@pytest.mark.parametrize(("product", "share"), [(-3.0, 0.0), (0.25, 0.25), (7.0, 1.0)])
def test_a_velocity_responds_at_most_so_that_the_sample_it_points_to_stays(product, share):
    assert responding((1, product, 1.0)).share == pytest.approx(np.full(STEPS, share))


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
    response = Response.empty(STEPS)
    with pytest.raises(InvalidInput, match=remedy):
        response.add(product, square)
    assert response.to_dict() == Response.empty(STEPS).to_dict()
