"""What becomes of methods that work, that do nothing, and that break."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from diffusers import FirstBlockCacheConfig, TaylorSeerCacheConfig
from made_up import NOW

from fastflow_ray.bench.benchmark import EQUAL_DB, Benchmark
from fastflow_ray.bench.cache_dit import CACHE_DIT
from fastflow_ray.bench.comparison import Comparison, compared
from fastflow_ray.bench.feature_caches import FEATURE_CACHES, FeatureCache
from fastflow_ray.bench.measurement import Ledger
from fastflow_ray.bench.method import Method
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.solvers import SOLVERS
from fastflow_ray.bench.stage import Stage
from fastflow_ray.bench.step_skipping import PublishedFastFlow, UniformFastFlow
from fastflow_ray.bench.subject import Subject

SUBJECTS = [Subject("a red circle", 7), Subject("a blue square", 8)]
EULER = SOLVERS[0]


def compare(
    stage: Stage, regime: Regime, methods: Sequence[Method], folder: Path, subjects: Sequence[Subject] = SUBJECTS
) -> Comparison:
    benchmark = Benchmark(stage, Ledger(folder / "m.jsonl", NOW), regime, methods, [2.0])
    made = benchmark.measure(subjects, lambda method: None)
    return compared(regime, [2.0], made, benchmark.verdicts.methods, benchmark.verdicts.settings)


def config(make: Any) -> Any:
    return lambda stage, regime, values, learnt: make()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' DPM-Solver, numpy 2
def test_fewer_steps_are_a_point_at_their_work(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    found = compare(stage, guided, SOLVERS, tmp_path)
    assert {curve.method: [point.evaluations for point in curve.points] for curve in found.curves} == {
        "euler": [6.0],
        "unipc": [6.0],
        "dpm++2m": [6.0],
        "flowturbo": [6.0],
    }
    assert all(0 < point.psnr_db.worst < EQUAL_DB for curve in found.curves for point in curve.points)
    assert (found.full.evaluations, found.full.psnr_db.worst) == (12.0, EQUAL_DB)


def test_as_many_steps_as_the_full_run_are_the_full_run(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "m.jsonl", NOW)
    made = Benchmark(stage, ledger, guided, [EULER], [1.0]).measure(SUBJECTS[:1], lambda method: None)
    assert [(each.method, each.psnr_db) for each in made] == [("full", EQUAL_DB), ("euler", EQUAL_DB)]


def test_a_peer_that_does_nothing_is_no_row(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    told: list[str] = []
    asleep = FeatureCache("asleep", ({},), config(lambda: FirstBlockCacheConfig(threshold=0.0)))
    patternless = FeatureCache("patternless", ({},), config(TaylorSeerCacheConfig))
    benchmark = Benchmark(stage, Ledger(tmp_path / "m.jsonl", NOW), guided, [asleep, patternless], [2.0])
    made = benchmark.measure(SUBJECTS, told.append)
    found = compared(guided, [2.0], made, benchmark.verdicts.methods, benchmark.verdicts.settings)
    assert found.curves == ()
    assert found.absent == {"asleep": "skipped nothing", "patternless": "skipped nothing"}
    assert [each.method for each in made] == ["full", "asleep", "patternless", "full"], "one prompt tells"
    assert len(told) == benchmark.measurements(SUBJECTS)


def test_a_peer_that_breaks_costs_its_own_row(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    broken = FeatureCache("broken", ({},), config(lambda: FirstBlockCacheConfig(threshold="no number")))  # type: ignore[arg-type]
    found = compare(stage, guided, [broken, EULER], tmp_path)
    assert [curve.method for curve in found.curves] == ["euler"]
    assert found.absent["broken"].startswith("diffusers raised TypeError: ")


def out_of_memory(*call: object) -> None:
    raise RuntimeError("out of memory")


def prints_what_nobody_reads(*call: object) -> None:
    print("[1.0 0.9]")


@pytest.mark.parametrize(
    ("rehearse", "said"),
    [(out_of_memory, "RuntimeError: out of memory"), (prints_what_nobody_reads, "JSONDecodeError: ")],
)
def test_a_peer_that_breaks_as_it_learns_costs_its_own_row(
    stage: Stage, guided: Regime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rehearse: Any, said: str
) -> None:
    (magcache,) = (method for method in FEATURE_CACHES if method.name == "magcache")
    monkeypatch.setattr(stage, "rehearse", rehearse)
    found = compare(stage, guided, [magcache, EULER], tmp_path, SUBJECTS[:1])
    assert [curve.method for curve in found.curves] == ["euler"]
    assert found.absent["magcache (1 learnt)"].startswith(f"diffusers raised {said}")


def test_caches_that_mix_the_branches_are_no_rows_with_guidance(
    stage: Stage, guided: Regime, unguided: Regime, tmp_path: Path
) -> None:
    mixing = [method for method in FEATURE_CACHES if method.name in ("pab", "fastercache")]
    assert set(compare(stage, guided, mixing, tmp_path).absent) == {"pab", "fastercache"}
    without = compare(stage, unguided, mixing, tmp_path)
    assert {curve.method for curve in without.curves} == {"pab", "fastercache"}


def test_the_second_time_nothing_is_generated(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    methods: list[Method] = [EULER, UniformFastFlow()]
    first = compare(stage, guided, methods, tmp_path)
    kept = (tmp_path / "m.jsonl").read_bytes()
    assert compare(stage, guided, methods, tmp_path) == first
    assert (tmp_path / "m.jsonl").read_bytes() == kept


def test_a_later_run_adds_what_is_missing(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    compare(stage, guided, [EULER], tmp_path, SUBJECTS[:1])
    found = compare(stage, guided, [EULER, UniformFastFlow()], tmp_path)
    assert [point.prompts for curve in found.curves for point in curve.points] == [2, 2]
    assert len((tmp_path / "m.jsonl").read_text().splitlines()) == 6


def test_what_is_measured_teaches_nothing(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    """So that neither the order of prompts nor a resumed run changes a figure."""
    methods: list[Method] = [PublishedFastFlow(learning=3)]
    for place in (tmp_path / "alone", tmp_path / "after"):
        place.mkdir()
    alone = compare(stage, guided, methods, tmp_path / "alone", SUBJECTS[1:])
    Benchmark(stage, Ledger(tmp_path / "after" / "m.jsonl", NOW), guided, methods, [2.0]).measure(
        SUBJECTS, lambda method: None
    )
    after = Ledger(tmp_path / "after" / "m.jsonl", NOW).get(
        (guided, "fastflow", 3, "as published", SUBJECTS[1].prompt, SUBJECTS[1].seed)
    )
    assert after is not None
    (point,) = alone.curves[0].points
    assert (point.psnr_db.mean, point.evaluations) == (after.psnr_db, after.evaluations)
    assert point.learning_evaluations == after.learning_evaluations > 12


def test_cache_dit_skips_something_and_leaves_the_pipeline(stage: Stage, guided: Regime, tmp_path: Path) -> None:
    (default, *others) = CACHE_DIT
    found = compare(stage, guided, [default, *others, EULER], tmp_path, SUBJECTS[:1])
    assert "its first 8 blocks always run" in found.absent["cache-dit-default"]
    assert [curve.method for curve in found.curves] == ["cache-dit", "cache-dit-taylorseer", "euler"]
    assert found.curves[-1].points[0].evaluations == 6


@pytest.mark.parametrize("name", ["seacache", "magcache", "taylorseer", "taylorseer-lite", "first-block"])
def test_every_cache_of_diffusers_skips_something(stage: Stage, guided: Regime, tmp_path: Path, name: str) -> None:
    methods = [method for method in FEATURE_CACHES if method.name == name]
    (found,) = compare(stage, guided, methods, tmp_path, SUBJECTS[:1]).curves
    assert found.points[0].evaluations < 8
