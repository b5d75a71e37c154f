"""Comparisons as text and as pictures."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from made_up import REGIME, measured, on_prompts
from rich.console import Console

from fastflow_ray.bench.comparison import Comparison, compared
from fastflow_ray.bench.plot import draw, spread
from fastflow_ray.bench.table import Grid, at_equal_work, every_point, remarks


def comparison() -> Comparison:
    made = [
        *on_prompts("", 50.0, 150.0, 150.0, method="full"),
        *on_prompts("25 evaluated", 25.0, 60.0, 64.0, method="ours"),
        *on_prompts("10 evaluated", 10.0, 40.0, 44.0, method="ours"),
        *on_prompts("25 steps", 25.0, 50.0, 52.0, method="euler"),
        *on_prompts("10 steps", 10.0, 41.0, 45.0, method="euler"),
        measured(method="fastflow", learning=3, setting="as published", evaluations=17.0, seed=0),
    ]
    absent = {("pab", 0): "mixes branches"}
    return compared(REGIME, [2.0, 5.0, 8.0], made, absent, {("asleep", 0, "threshold 0"): "skipped nothing"})


def test_ours_is_held_against_the_best_peer_at_every_budget() -> None:
    grid = at_equal_work(comparison())
    assert grid.header[1:] == ["25 of 50", "10 of 50", "6 of 50"]
    assert [list(row) for row in grid.rows[-2:]] == [
        ["lead over the best peer", "+11.0", "-1.0", "·"],
        ["which is", "euler", "euler", "·"],
    ]
    assert ["ours", "62.0 / 60.0", "42.0 / 40.0", "·"] in [list(row) for row in grid.rows]


def test_what_is_no_row_is_said() -> None:
    assert remarks(comparison()) == [
        "fastflow (3 learnt): one point, 40.0 / 40.0 dB at 17.0 evaluations",
        "pab: not applicable: mixes branches",
        "asleep: not applicable: skipped nothing",
    ]


def test_rows_stand_in_the_order_they_were_measured_in_though_one_lacks_a_setting() -> None:
    made = [
        *on_prompts("", 50.0, 150.0, method="full"),
        *on_prompts("25 steps", 25.0, 50.0, method="euler"),
        *on_prompts("threshold 0.3", 20.0, 45.0, method="seacache"),
        *on_prompts("25 evaluated", 25.0, 60.0, method="ours"),
    ]
    left_out = {("asleep", 0, "threshold 0"): "skipped nothing", ("seacache", 0, "threshold 0.1"): "skipped nothing"}
    found = compared(REGIME, [2.0], made, {}, left_out)
    assert [curve.method for curve in found.curves] == ["euler", "seacache", "ours"]
    assert (list(found.absent), list(found.idle)) == (["asleep"], ["seacache"])


def test_every_row_has_every_column() -> None:
    for grid in (at_equal_work(comparison()), every_point(comparison())):
        assert {len(row) for row in grid.rows} == {len(grid.header)}
        assert grid.to_rich().row_count == len(grid.rows)
        assert len({line.count("|") for line in grid.to_markdown().splitlines()[2:]}) == 1


@pytest.mark.parametrize(("columns", "lines"), [(200, 1), (20, 2)])
def test_a_title_is_broken_by_a_narrow_terminal_and_by_no_narrow_table(columns: int, lines: int) -> None:
    screen = Console(file=StringIO(), width=columns)
    screen.print(Grid("what was measured, and on what", ["a", "b"], [["x", "1"]]).to_rich())
    assert isinstance(screen.file, StringIO)
    title = screen.file.getvalue().splitlines()[:lines]
    assert " ".join(line.strip() for line in title) == "what was measured, and on what"


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    draw(comparison(), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_labels_never_overlap_and_stay_where_they_can() -> None:
    assert spread([1.0, 5.0, 9.0], gap=1.0, low=0.0, high=10.0) == [1.0, 5.0, 9.0]
    assert spread([5.0, 5.0, 5.0], gap=1.0, low=0.0, high=10.0) == [5.0, 6.0, 7.0]
    assert spread([9.5, 9.8], gap=1.0, low=0.0, high=10.0) == [9.0, 10.0]
