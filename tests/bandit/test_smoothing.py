"""Whether predictions should be smooth: what audits that walked both ways let one believe."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.smoothing import (
    AT_MOST_DB,
    FEWEST_AUDITS,
    MOST_AUDITS,
    STANDING_DB,
    STANDING_FIRMNESS,
    Smoothing,
)
from fastflow_ray.errors import InvalidInput


def heard(*gains_db: float) -> Smoothing:
    smoothing = Smoothing()
    for gain_db in gains_db:
        smoothing.add(gain_db)
    return smoothing


def test_before_any_audit_predictions_are_as_learnt():
    assert Smoothing().gain_db == STANDING_DB
    assert not Smoothing().pays
    assert Smoothing().is_open


def test_it_pays_once_what_was_gained_outweighs_what_was_supposed():
    outweighed = -STANDING_FIRMNESS * STANDING_DB
    assert not heard(0.9 * outweighed).pays
    assert heard(1.1 * outweighed).pays
    assert not heard(1.1 * outweighed, -1.0).pays
    assert heard(2.0, 4.0, 3.0).gain_db == pytest.approx(
        (9.0 + STANDING_FIRMNESS * STANDING_DB) / (3 + STANDING_FIRMNESS)
    )


@pytest.mark.parametrize("gain_db", [7.0, 90.0, math.inf])
def test_a_video_that_fell_apart_one_way_does_not_outweigh_all_others(gain_db):
    assert heard(gain_db) == heard(AT_MOST_DB)
    assert heard(-gain_db) == heard(-AT_MOST_DB)


@pytest.mark.parametrize(
    ("gains_db", "is_open"),
    [
        ([AT_MOST_DB] * (FEWEST_AUDITS - 1), True),
        ([AT_MOST_DB] * FEWEST_AUDITS, False),
        ([-AT_MOST_DB] * FEWEST_AUDITS, False),
        ([1.0] * FEWEST_AUDITS, True),
        ([0.5] * (MOST_AUDITS - 1), True),
        ([2.5] * (MOST_AUDITS - 1), False),
        ([0.5] * MOST_AUDITS, False),
        ([0.0] * 64, False),
    ],
)
def test_it_is_heard_until_the_answer_is_beyond_doubt_or_there_is_little_to_choose(gains_db, is_open):
    assert heard(*gains_db).is_open == is_open


def test_what_is_no_number_teaches_nothing():
    smoothing = heard(1.0)
    with pytest.raises(InvalidInput, match="not a number"):
        smoothing.add(math.nan)
    assert smoothing == heard(1.0)


@given(st.lists(st.floats(-99, 99)))
def test_its_document_keeps_every_bit(gains_db):
    smoothing = heard(*gains_db)
    assert Smoothing.from_dict(json.loads(json.dumps(smoothing.to_dict()))) == smoothing


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"gain_sum": 1.0},
        {"gain_sum": 1.0, "audits": 1, "more": 0},
        {"gain_sum": "1", "audits": 1},
        {"gain_sum": math.inf, "audits": 1},
        {"gain_sum": 1.0, "audits": 1.5},
        {"gain_sum": -1.0, "audits": -1},
        {"gain_sum": 1.0, "audits": 0},
        {"gain_sum": -3 * AT_MOST_DB, "audits": 2},
    ],
)
def test_what_no_audits_could_have_left_is_refused(document):
    with pytest.raises(ValueError, match=r"smoothing|gain_sum|audits"):
        Smoothing.from_dict(document)
