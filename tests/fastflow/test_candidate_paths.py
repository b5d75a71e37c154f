"""Which steps a candidate evaluates: its own way of weighing errors decides, and who learnt nothing spreads evenly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plan_books import FIRST, known

from fastflow_ray.bandit.candidates import Candidate, Integrator, Weighing
from fastflow_ray.candidate_paths import CandidatePaths
from fastflow_ray.learned_plan import evenly_spread
from fastflow_ray.sampling.grid import flow_sigmas


def paths(steps: int, restarts: tuple[int, ...] = ()) -> CandidatePaths:
    return CandidatePaths(known(steps), np.diff(flow_sigmas(steps, 3.0).double().numpy()), restarts)


def longest(evaluated: tuple[int, ...], steps: int) -> int:
    return int(np.diff([*evaluated, steps]).max())


def test_caution_shortens_the_longest_skip():
    drawn = paths(50)
    by_caution = [longest(drawn.evaluated(replace(FIRST, caution=power), 6), 50) for power in (0.0, 2.0, 8.0)]
    assert by_caution[0] > by_caution[1] > by_caution[2]


def test_caution_is_told_apart_by_who_keeps_planners():
    """One planner answers all budgets of a way, and of that way only, whichever was asked first."""
    cautious = replace(FIRST, caution=8.0)
    first, second = paths(50), paths(50)
    assert first.evaluated(FIRST, 12) == (second.evaluated(cautious, 12), second.evaluated(FIRST, 12))[1]
    assert first.evaluated(cautious, 12) == second.evaluated(cautious, 12) != first.evaluated(FIRST, 12)


@pytest.mark.parametrize("way", [{"emphasis": 3.0}, {"weighing": Weighing.GROWTH, "emphasis": 0.0}])
def test_whoever_weighs_otherwise_goes_another_way(way):
    drawn = paths(50)
    assert drawn.evaluated(replace(FIRST, **way), 12) != drawn.evaluated(FIRST, 12)


def test_who_learns_nothing_spreads_evenly_around_a_change_of_network():
    even = Candidate(Integrator.LINE)
    assert paths(30, (17,)).evaluated(even, 9) == evenly_spread(30, 9, (17,))
    assert {17, 18} < set(paths(30, (17,)).evaluated(FIRST, 9))
