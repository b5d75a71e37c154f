"""Curves of work and fidelity, and what may be said of them at equal work."""

from __future__ import annotations

import pytest
from made_up import on_prompts

from fastflow_ray.bench.compare import AtWork, Curve, at_work, curve, frontier, lead


def drawn(*settings: tuple[float, float], method: str = "peer") -> Curve:
    """A curve through these (evaluations, dB), two prompts 2 dB apart each."""
    made = [
        measurement
        for evaluations, mean in settings
        for measurement in on_prompts(f"at {evaluations} {mean}", evaluations, mean - 1, mean + 1, method=method)
    ]
    found = curve(made)
    assert found is not None
    return found


def test_between_two_settings_the_curve_is_a_straight_line() -> None:
    points = drawn((10, 30), (20, 50)).points
    assert at_work(points, 15) == AtWork(mean=40, worst=39)


@pytest.mark.parametrize("evaluations", [9.0, 21.0])
def test_it_is_never_drawn_beyond_what_was_measured(evaluations: float) -> None:
    assert at_work(drawn((10, 30), (20, 50)).points, evaluations) is None


@pytest.mark.parametrize("evaluations", [9.9, 10.1])
def test_nearly_equal_work_is_equal_work(evaluations: float) -> None:
    assert at_work(drawn((10, 30)).points, evaluations) == AtWork(mean=30, worst=29)


def test_a_setting_that_another_outdoes_bends_no_curve() -> None:
    points = drawn((10, 30), (14, 20), (20, 50)).points
    assert [point.evaluations for point in frontier(points)] == [10, 20]
    assert at_work(points, 14) == AtWork(mean=38, worst=37)


def test_less_work_that_is_better_stands_for_more_that_is_worse() -> None:
    points = drawn((10, 30), (14, 50), (20, 40)).points
    assert at_work(points, 18) == AtWork(mean=50, worst=49)
    assert at_work(points, 21) is None


def test_of_equal_work_the_better_setting_counts() -> None:
    assert at_work(drawn((10, 30), (10, 44)).points, 10) == AtWork(mean=44, worst=43)


def test_the_lead_is_over_the_best_peer_that_reaches_the_work() -> None:
    ours = drawn((10, 40), (20, 60), method="ours")
    low, high, far = drawn((10, 30), (20, 50)), drawn((10, 36), (20, 44), method="other"), drawn((30, 99), method="far")
    assert lead(ours.points, [low, high, far], 12) == (pytest.approx(44 - 37.6), "other")
    assert lead(ours.points, [low, high, far], 20) == (pytest.approx(10), "peer")
    assert lead(ours.points, [far], 20) is None
    assert lead(ours.points, [low], 25) is None


def test_prompts_are_not_pooled() -> None:
    (point,) = drawn((10, 30)).points[:1]
    assert (point.psnr_db.mean, point.psnr_db.median, point.psnr_db.worst, point.prompts) == (30, 30, 29, 2)


def test_a_peer_that_skips_nothing_has_no_curve() -> None:
    assert curve(on_prompts("asleep", 50.0, 150.0, 150.0)) is None


def test_settings_that_skip_nothing_or_miss_prompts_are_no_points() -> None:
    made = [*on_prompts("asleep", 50.0, 150.0), *on_prompts("awake", 20.0, 40.0, 42.0), *on_prompts("half", 10.0, 60.0)]
    found = curve(made)
    assert found is not None
    assert [point.setting for point in found.points] == ["awake"]
