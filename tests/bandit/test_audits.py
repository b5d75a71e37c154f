"""What audits measured: counts that merge, a bound that holds, documents that keep every bit and refuse damage."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.audits import (
    CONVINCING,
    IDENTICAL_DB,
    AuditBook,
    Shortfalls,
    boldness,
    convincing,
    expected_db,
)
from fastflow_ray.errors import InvalidInput

# Multiples of 1/64 add without rounding, so that equality below is of every bit.
decibels = st.integers(-64 * 40, 64 * 100).map(lambda n: n / 64)
notes = st.tuples(
    st.sampled_from(["interpolate-1", "line"]),
    st.integers(0, 3),
    decibels,
    decibels,
    st.none() | st.integers(0, 64).map(lambda n: n / 64),
)


@st.composite
def books(draw):
    book = AuditBook()
    for note in draw(st.lists(notes, max_size=6)):
        book.note(*note)
    return book


def said(book: AuditBook) -> str:
    return json.dumps(book.to_dict(), allow_nan=False)


@given(books(), books())
def test_merging_commutes_and_changes_neither_side(a, b):
    before = said(a), said(b)
    merged = a.merge(b)
    assert said(merged) == said(b.merge(a))
    merged.note("line", 0, 40.0, 41.0)
    assert (said(a), said(b)) == before


@given(books(), books(), books())
def test_merging_associates_and_an_empty_book_changes_nothing(a, b, c):
    assert said(a.merge(b).merge(c)) == said(a.merge(b.merge(c)))
    assert said(a.merge(AuditBook())) == said(AuditBook().merge(a)) == said(a)


@given(books())
def test_the_document_keeps_every_bit(book):
    again = AuditBook.from_dict(json.loads(said(book)))
    assert said(again) == said(book)
    assert again.audits == book.audits


def test_the_document_keeps_awkward_floats_too():
    book = AuditBook()
    for measured in (0.1 + 0.2, 1 / 3):
        book.note("line", 2, 10.0, measured, ssim=measured)
    ((_, _, ours),) = book.cells()
    ((_, _, theirs),) = AuditBook.from_dict(json.loads(said(book))).cells()
    assert (theirs.psnr_sum, theirs.ssim_sum, theirs.ssim_count) == (ours.psnr_sum, ours.ssim_sum, 2)


def test_values_by_hand():
    book = AuditBook()
    book.note("line", 4, expected_db=50.0, measured_db=46.2, ssim=0.5)
    book.note("line", 4, expected_db=50.0, measured_db=51.0)
    book.note("line", 9, expected_db=30.0, measured_db=20.0)
    cell, distance = book.nearest("line", 5)
    assert (dict(cell.counts), distance, cell.audits) == ({4: 1, -1: 1}, 1, 2)
    assert (cell.mean_db, cell.mean_psnr_db) == (1.5, pytest.approx(48.6))
    assert (cell.ssim_sum, cell.ssim_count) == (0.5, 1)
    assert book.at("line", 9).mean_db == 10
    assert book.at("line", 5).audits == 0
    assert book.nearest("hold", 4) is None
    assert (book.nearest_boldness(8), AuditBook().nearest_boldness(8)) == (9, None)
    assert (book.audits, AuditBook().audits) == (3, 0)


def test_an_infinite_fidelity_is_that_of_equals():
    book = AuditBook()
    book.note("line", 0, expected_db=math.inf, measured_db=math.inf)
    assert (book.at("line", 0).mean_db, book.at("line", 0).mean_psnr_db) == (0, IDENTICAL_DB)


@pytest.mark.parametrize(
    ("expected", "measured"), [(math.nan, 40.0), (40.0, math.nan), (-math.inf, 40.0), (40.0, -math.inf)]
)
def test_what_is_no_fidelity_teaches_nothing(expected, measured):
    book = AuditBook()
    with pytest.raises(InvalidInput, match="teaches nothing"):
        book.note("line", 0, expected, measured)
    assert not list(book.cells())


# The bound


def test_the_bound_is_the_rank_that_needs_no_assumption():
    seen = Shortfalls(Counter(range(1, 40)))
    assert seen.bound_db(0.95) == 38  # ⌈0.95·40⌉-th smallest
    assert seen.bound_db(0.5) == 20


@pytest.mark.parametrize(("audits", "confidence"), [(0, 0.5), (1, 0.5), (CONVINCING - 1, 0.5), (18, 0.95), (98, 0.99)])
def test_too_few_audits_assure_nothing(audits, confidence):
    assert Shortfalls(Counter({5: audits})).bound_db(confidence) == math.inf


@pytest.mark.parametrize(("audits", "confidence"), [(CONVINCING, 0.5), (19, 0.95), (99, 0.99)])
def test_just_enough_of_them_do(audits, confidence):
    assert Shortfalls(Counter({-9: audits - 1, 5: 1})).bound_db(confidence) in (-9, 5)


@given(st.lists(st.integers(-50, 50), max_size=60), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_more_confidence_is_never_a_lower_bound(seen, one, other):
    shortfalls, (less, more) = Shortfalls(Counter(seen)), sorted((one, other))
    assert shortfalls.bound_db(less) <= shortfalls.bound_db(more)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_next_one_exceeds_the_bound_no_more_often_than_said(confidence):
    """Of a heavy-tailed shortfall, as that of prompts that fall into another mode."""
    rng, exceeded = np.random.default_rng(0), []
    for _ in range(2000):
        *seen, following = np.where(rng.random(31) < 0.1, 40, rng.integers(-5, 6, 31)).tolist()
        exceeded.append(following > Shortfalls(Counter(seen)).bound_db(confidence))
    assert np.mean(exceeded) <= 1 - confidence + 0.02


# Boldness, and the expectation as a fidelity


def test_every_halving_of_the_evaluations_is_four_bolder():
    assert [boldness(48, evaluations) for evaluations in (48, 24, 12, 6, 40)] == [0, 4, 8, 12, 1]


def test_an_expected_error_as_a_fidelity():
    assert expected_db(1e-4) == pytest.approx(40)
    assert expected_db(0.0) == IDENTICAL_DB


# Damaged documents


def row(**fields):
    sound = {
        "candidate": "line",
        "boldness": 4,
        "shortfall_db": {"-3": 2},
        "psnr_sum": 80.0,
        "ssim_sum": 0.0,
        "ssim_count": 0,
    }
    return sound | fields


def test_the_undamaged_template_is_read():
    assert AuditBook.from_dict([row(), row(boldness=5)]).audits == 4


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {},
        [3],
        [{}],
        [row(candidate=3)],
        [row(boldness="4")],
        [row(boldness=4.5)],
        [row(boldness=True)],
        [row(), row()],
        [row(shortfall_db={})],
        [row(shortfall_db=[3])],
        [row(shortfall_db={"x": 1})],
        [row(shortfall_db={"1.5": 1})],
        [row(shortfall_db={"1": 0})],
        [row(shortfall_db={"1": -1})],
        [row(shortfall_db={"1": 1.5})],
        [row(shortfall_db={"1": True})],
        [row(shortfall_db={"1": 1, "01": 1})],
        [row(psnr_sum=None)],
        [row(psnr_sum="80")],
        [row(psnr_sum=math.nan)],
        [row(ssim_sum=math.inf)],
        [row(ssim_count=-1)],
        [row(ssim_count=0.5)],
        [row(ssim_count=3)],
        [row(ssim_sum=[0.0])],
    ],
)
def test_damaged_documents_are_refused(rows):
    with pytest.raises(ValueError, match=r"."):
        AuditBook.from_dict(rows)


@given(st.floats(0.01, 0.999))
def test_a_promise_rests_on_as_many_audits_as_make_it_finite(confidence):
    enough = convincing(confidence)
    for audits, is_finite in ((enough, True), (enough - 1, False)):
        assert math.isfinite(Shortfalls(Counter({3: audits})).bound_db(confidence)) == is_finite
