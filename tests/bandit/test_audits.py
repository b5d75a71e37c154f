"""What audits measured: counts that merge, a bound that holds, documents that keep every bit and refuse damage."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.assurance import assured_db, common_spread_db
from fastflow_ray.bandit.audits import (
    IDENTICAL_DB,
    AuditBook,
    Fidelities,
    boldness_of,
    evaluations_of,
    relative_db,
)
from fastflow_ray.errors import InvalidInput

# Multiples of 1/64 add without rounding, so that equality below is of every bit.
decibels = st.integers(-64 * 40, 64 * 100).map(lambda n: n / 64)
notes = st.tuples(
    st.sampled_from(["interpolate-1", "line"]),
    st.integers(0, 3),
    decibels,
    st.none() | st.integers(0, 64).map(lambda n: n / 64),
    st.none() | st.sampled_from([(0, 1, 3), (0, 2, 3)]),
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
    merged.note("line", 0, 41.0)
    assert (said(a), said(b)) == before


@given(books(), books(), books())
def test_merging_associates_and_an_empty_book_changes_nothing(a, b, c):
    assert said(a.merge(b).merge(c)) == said(a.merge(b.merge(c)))
    assert said(a.merge(AuditBook())) == said(AuditBook().merge(a)) == said(a)


@given(books())
def test_the_document_keeps_every_bit(book):
    again = AuditBook.from_dict(json.loads(said(book)))
    assert said(again) == said(book)
    assert again.most_audits == book.most_audits


def test_the_document_keeps_awkward_floats_too():
    book = AuditBook()
    for measured in (0.1 + 0.2, 1 / 3):
        book.note("line", 2, measured, ssim=measured)
    ((_, _, ours),) = book.cells()
    ((_, _, theirs),) = AuditBook.from_dict(json.loads(said(book))).cells()
    assert (theirs.psnr_sum, theirs.ssim_sum, theirs.ssim_count) == (ours.psnr_sum, ours.ssim_sum, 2)


def test_values_by_hand():
    book = AuditBook()
    book.note("line", 4, 46.7, ssim=0.5)
    book.note("line", 4, 51.0)
    book.note("line", 9, 20.0)
    cell, boldness = book.nearest("line", 5)
    assert (dict(cell.counts), boldness, cell.audits) == ({46: 1, 51: 1}, 4, 2)
    assert (cell.mean_db, cell.spread_db) == (pytest.approx(48.85), 2.5)
    assert [cell.below(db) for db in (46.0, 46.5, 51.0, 51.5)] == [0, 1, 1, 2], "a fraction of a dB is not counted on"
    assert (cell.ssim_sum, cell.ssim_count) == (0.5, 1)
    assert (book.at("line", 9).mean_db, book.at("line", 9).spread_db) == (20, 1)
    assert book.at("line", 5).audits == 0
    assert book.nearest("hold", 4) is None
    assert (book.nearest_boldness(8), AuditBook().nearest_boldness(8)) == (9, None)
    assert (book.most_audits, AuditBook().most_audits) == (3, 0)


def test_of_what_a_promise_walks_the_path_is_kept():
    book = AuditBook()
    book.note("line", 4, 50.0)
    assert book.at("line", 4).path is None, "a plan for a speed"
    book.note("line", 4, 50.0, path=(0, 1, 4))
    book.note("line", 4, 50.0)
    assert (book.at("line", 4).path, book.at("line", 5).path) == ((0, 1, 4), None)


def test_an_infinite_fidelity_is_that_of_equals():
    book = AuditBook()
    book.note("line", 0, math.inf)
    assert book.at("line", 0).mean_db == IDENTICAL_DB


@pytest.mark.parametrize("measured", [math.nan, -math.inf])
def test_what_is_no_fidelity_teaches_nothing(measured):
    book = AuditBook()
    with pytest.raises(InvalidInput, match="teaches nothing"):
        book.note("line", 0, measured)
    assert not list(book.cells())


# What is assured


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_every_audit_counts_in_what_is_assured(confidence):
    counts = Counter({9: 2, 33: 30, 48: 20})
    assert Fidelities(counts).assured_db(confidence, 8.0) == assured_db(2 * [9] + 30 * [33] + 20 * [48], confidence)
    assert Fidelities().assured_db(confidence, 8.0) == -math.inf


def test_the_spread_that_plans_have_in_common_is_by_all_of_them():
    book = AuditBook()
    for budget, level_db in ((4, 60.0), (6, 30.0)):
        for db in (-2.0, 2.0) * 20:
            book.note("line", budget, level_db + db)
    assert book.common_spread_db == common_spread_db([[58, 62] * 20, [28, 32] * 20])
    for _ in range(40):
        book.note("line", 1, math.inf)
    assert book.common_spread_db == common_spread_db([[58, 62] * 20, [28, 32] * 20]), "of equals it is not known"


def test_a_book_shows_falls_of_any_plan_by_the_spread_of_all():
    book = AuditBook()
    for db in [60.0] * 9:
        book.note("line", 4, db)
        book.note("hold", 6, db - 20)
    assert not book.show_falls
    book.note("hold", 6, 30.0)
    assert not book.show_falls, "a little below the others"
    book.note("line", 6, 12.0)
    assert not book.show_falls, "nothing to fall from"
    book.note("hold", 6, 12.0)
    assert book.show_falls


# Boldness, and the expectation as a fidelity


def test_every_halving_of_the_evaluations_is_four_bolder():
    assert [boldness_of(48, evaluations) for evaluations in (48, 24, 12, 6, 40)] == [0, 4, 8, 12, 1]


@pytest.mark.parametrize("steps", [4, 30, 50, 200])
def test_a_boldness_is_judged_by_a_budget_of_its_own(steps):
    for budget in range(2, steps + 1):
        boldness = boldness_of(steps, budget)
        assert boldness_of(steps, evaluations_of(steps, boldness)) == boldness


def test_an_expected_error_as_a_fidelity():
    assert relative_db(1e-4) == pytest.approx(40)
    assert relative_db(0.0) == IDENTICAL_DB


# Damaged documents


def row(**fields):
    sound = {
        "candidate": "line",
        "boldness": 4,
        "psnr_db": {"40": 2},
        "psnr_sum": 80.0,
        "ssim_sum": 0.0,
        "ssim_count": 0,
    }
    return sound | fields


def test_the_undamaged_template_is_read():
    read = AuditBook.from_dict([row(), row(boldness=5)])
    assert [(boldness, cell.audits) for _, boldness, cell in read.cells()] == [(4, 2), (5, 2)]
    assert read.most_audits == 4


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
        [row(psnr_db={})],
        [row(psnr_db=[3])],
        [row(psnr_db={"x": 1})],
        [row(psnr_db={"1.5": 1})],
        [row(psnr_db={"1": 0})],
        [row(psnr_db={"1": -1})],
        [row(psnr_db={"1": 1.5})],
        [row(psnr_db={"1": True})],
        [row(psnr_db={"1": 1, "01": 1})],
        [row(psnr_sum=None)],
        [row(psnr_sum="80")],
        [row(psnr_sum=math.nan)],
        [row(ssim_sum=math.inf)],
        [row(ssim_count=-1)],
        [row(ssim_count=0.5)],
        [row(ssim_count=3)],
        [row(ssim_sum=[0.0])],
        [row(path=[])],
        [row(path="01")],
        [row(path=[0, 2, 2])],
        [row(path=[-1, 2])],
        [row(path=[0, True])],
        [row(path=[0, 1.5])],
    ],
)
def test_damaged_documents_are_refused(rows):
    with pytest.raises(ValueError, match=r"."):
        AuditBook.from_dict(rows)
