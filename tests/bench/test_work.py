"""Work is what really ran, whatever stands in its way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fastflow_ray.bench.feature_caches import FEATURE_CACHES
from fastflow_ray.bench.method import Learnt, Method, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.bench.step_skipping import EvenFastFlow, EvenSkips, UniformFastFlow
from fastflow_ray.bench.subject import Subject

CIRCLE = Subject("a red circle", 7)


def cache(name: str) -> Method:
    return next(method for method in FEATURE_CACHES if method.name == name)


def work(stage: Stage, regime: Regime, method: Method, **values: float) -> float:
    setting = Setting("this", values)
    with method.applied(stage, regime, setting, Learnt()) as steps:
        return stage.perform(CIRCLE, regime, steps).evaluations


def test_a_full_run_is_its_steps_with_one_branch_or_two(stage: Stage, guided: Regime, unguided: Regime) -> None:
    for regime in (guided, unguided):
        with stage.scheduled(stage.flow_euler(regime)):
            assert stage.perform(CIRCLE, regime, 12).evaluations == 12


def test_a_skipped_step_costs_nothing(stage: Stage, guided: Regime) -> None:
    assert work(stage, guided, UniformFastFlow(), evaluations=5) == 5


def test_blocks_are_counted_one_by_one(stage: Stage, guided: Regime) -> None:
    """Of two blocks the first always runs, and with this threshold the second only once."""
    assert work(stage, guided, cache("first-block"), threshold=1e9) == pytest.approx(12 / 2 + 1 / 2)


def test_reused_attention_is_less_work_inside_a_block_that_runs(stage: Stage, unguided: Regime) -> None:
    """Feed-forwards run on every step: a good part of the work stays, and some of it goes."""
    assert 4 < work(stage, unguided, cache("pab"), spatial=4, cross=4) < 11


def test_nothing_stays_on_the_pipeline(stage: Stage, guided: Regime) -> None:
    own = stage.pipe.scheduler
    work(stage, guided, cache("first-block"), threshold=1e9)
    work(stage, guided, cache("taylorseer-lite"), interval=4, order=1)
    assert stage.pipe.scheduler is own
    with stage.scheduled(stage.flow_euler(guided)):
        assert stage.perform(CIRCLE, guided, 12).evaluations == 12


@pytest.mark.parametrize(("steps", "evaluations"), [(50, 10), (50, 25), (12, 3), (30, 29), (12, 12)])
def test_even_skips_evaluate_as_many_as_they_say(steps: int, evaluations: int) -> None:
    evaluated = EvenSkips(steps, evaluations).evaluated
    assert len(set(evaluated)) == evaluations
    assert evaluated[:2] == [0, 1]
    assert evaluated[-1] == steps - 1
    gaps = [after - before for before, after in pairwise(evaluated[1:])]
    assert max(gaps) - min(gaps) <= 1


def test_even_fastflow_evaluates_where_its_policy_says(stage: Stage, guided: Regime) -> None:
    with stage.scheduled(stage.flow_euler(guided)), EvenFastFlow(5).attach(stage.pipe) as run:
        stage.perform(CIRCLE, guided, 12)
        assert run.trace.evaluated == EvenSkips(12, 5).evaluated
