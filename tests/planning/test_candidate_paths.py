"""Which steps a candidate evaluates: its own way of weighing errors decides, and who learnt nothing spreads evenly."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from plan_books import FIRST, known

from fastflow_ray.bandit.candidates import Candidate, Integrator, Weighing
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.planning.candidate_paths import CandidatePaths
from fastflow_ray.planning.learned_plan import evenly_spread
from fastflow_ray.sampling.grid import flow_sigmas


def paths(steps: int, restarts: tuple[int, ...] = (), table: TrajectoryTable | None = None) -> CandidatePaths:
    table = table or known(steps, runs=20)
    return CandidatePaths(table, table.products.mean, np.diff(flow_sigmas(steps, 3.0).double().numpy()), restarts)


def longest(evaluated: tuple[int, ...], steps: int) -> int:
    return int(np.diff([*evaluated, steps]).max())


def test_caution_shortens_the_longest_skip():
    drawn = paths(50)
    by_caution = [longest(drawn.evaluated(replace(FIRST, caution=power), 6), 50) for power in (0.0, 2.0, 8.0)]
    assert by_caution[0] > by_caution[1] > by_caution[2]


def test_few_runs_make_everyone_cautious():
    one, two, three, many = (paths(50, table=known(50, runs)).evaluated(FIRST, 6) for runs in (1, 2, 3, 20))
    assert one == two
    assert three == many
    assert longest(one, 50) < longest(many, 50)
    lent = known(50, runs=20).borrowed(0.5)
    assert longest(paths(50, table=lent).evaluated(FIRST, 6), 50) == longest(one, 50), "what it saw went elsewhere"


def test_caution_is_told_apart_by_who_keeps_planners():
    """One planner answers all budgets of a way, and of that way only, whichever was asked first."""
    cautious = replace(FIRST, caution=8.0)
    first, second = paths(50), paths(50)
    assert first.evaluated(FIRST, 12) == (second.evaluated(cautious, 12), second.evaluated(FIRST, 12))[1]
    assert first.evaluated(cautious, 12) == second.evaluated(cautious, 12) != first.evaluated(FIRST, 12)


@pytest.mark.parametrize("evaluations", [2, 5, 20, 60])
def test_a_fine_grid_is_planned_in_little_memory(evaluations):
    """400 steps of which 5 are evaluated took 2 GB."""
    drawn = paths(400)
    tracemalloc.start()
    evaluated = drawn.evaluated(FIRST, evaluations)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500e6
    assert len(evaluated) == evaluations
    assert list(evaluated) == sorted({*evaluated})
    assert evaluated[-1] < 400


def test_whoever_weighs_early_errors_more_evaluates_earlier():
    drawn = paths(50)
    assert sum(drawn.evaluated(replace(FIRST, emphasis=3.0), 12)) < sum(drawn.evaluated(FIRST, 12))


def test_measured_growth_moves_the_path_of_who_weighs_by_it_and_no_other():
    def drawn(log_growth: float, candidate: Candidate) -> tuple[int, ...]:
        table = TrajectoryTable.empty(50, "g").merge(known(50, runs=20), "k")
        for _ in range(20):
            table.growth.add(np.full(50, log_growth), np.ones(50, bool))
        return paths(50, table=table).evaluated(candidate, 12)

    by_growth = replace(FIRST, weighing=Weighing.GROWTH)
    assert sum(drawn(0.3, by_growth)) < sum(drawn(0.0, by_growth))
    assert drawn(0.3, FIRST) == drawn(0.0, FIRST)


@pytest.mark.parametrize("evaluations", [2, 3, 4])
def test_of_few_evaluations_skips_may_be_longer_than_an_even_spread_has(evaluations):
    even = evenly_spread(50, evaluations)
    assert 1.2 * longest(even, 50) < longest(paths(50).evaluated(FIRST, evaluations), 50) <= 2 * longest(even, 50)


def test_who_learns_nothing_spreads_evenly_around_a_change_of_network():
    even = Candidate(Integrator.LINE)
    assert paths(30, (17,)).evaluated(even, 9) == evenly_spread(30, 9, (17,))
    assert {17, 18} < set(paths(30, (17,)).evaluated(FIRST, 9))
