"""A promised fidelity beside fixed schedules, on the small model and from made-up jobs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fastflow_ray.bench.method import Learnt, NotApplicable, Setting
from fastflow_ray.bench.ours import LearnedPlan
from fastflow_ray.bench.promise.report import Report
from fastflow_ray.bench.promise.schedules import Schedule, Target, cheapest, run_in_full
from fastflow_ray.bench.promise.service import Job, serve
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.roster import chosen
from fastflow_ray.bench.solvers import Solver, flow_euler
from fastflow_ray.bench.stage import Stage
from fastflow_ray.bench.subject import learning
from fastflow_ray.cli import main
from fastflow_ray.media.fidelity import psnr_db
from fastflow_ray.pace import Pace


def test_a_job_is_held_against_its_own_full_run(stage: Stage, guided: Regime) -> None:
    subjects = learning(3)
    first, second, third = serve(stage, guided, Pace(evaluations=6), subjects)
    assert (first.evaluations, first.psnr_db) == (12, math.inf)
    assert first.learning == 0
    assert second.learning >= 12, "an audit runs the seed in full"
    for job in (second, third):
        assert 6 <= job.evaluations < 12
        assert 0 < job.psnr_db < math.inf


def test_the_cheapest_schedule_is_the_boldest_that_keeps_the_fidelity(stage: Stage, guided: Regime) -> None:
    (euler,) = chosen(["euler"], [1])
    videos = run_in_full(stage, guided, learning(2))

    def kept(steps: int) -> float:
        with euler.applied(stage, guided, euler.settings(guided, [12 / steps])[0], Learnt()):
            takes = [stage.perform(video.subject, guided, steps) for video in videos]
        return min(psnr_db(take.frames, video.frames) for take, video in zip(takes, videos, strict=True))

    by_steps = {steps: kept(steps) for steps in range(3, 12)}
    target = Target(by_steps[8], 0.95)
    found = cheapest(stage, guided, euler, target, videos)
    assert found is not None
    assert min(found.psnr_db) >= target.fidelity_db
    assert found.evaluations == min(steps for steps in by_steps if by_steps[steps] >= by_steps[8])
    assert cheapest(stage, guided, euler, Target(149.0, 0.95), videos) is None


@dataclass(frozen=True)
class Choosy(Solver):
    """A solver that refuses some numbers of steps."""

    refused: frozenset[int] = frozenset()

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        if setting.values["steps"] in self.refused:
            raise NotApplicable("not in so few steps")
        with super().applied(stage, regime, setting, learnt) as steps:
            yield steps


def test_a_setting_that_does_not_apply_costs_no_other(stage: Stage, guided: Regime) -> None:
    videos, target = run_in_full(stage, guided, learning(1)), Target(1.0, 0.95)
    choosy = Choosy("choosy", flow_euler, refused=frozenset({3, 4}))
    found = cheapest(stage, guided, choosy, target, videos)
    assert found is not None
    assert found.setting == "5 steps"
    assert cheapest(stage, guided, choosy, Target(149.0, 0.95), videos) is None
    with pytest.raises(NotApplicable, match=r"^not in so few steps$"):
        cheapest(stage, guided, replace(choosy, refused=frozenset(range(13))), target, videos)


def test_what_learns_is_no_fixed_schedule(stage: Stage, guided: Regime) -> None:
    with pytest.raises(NotApplicable, match="learns"):
        cheapest(stage, guided, LearnedPlan(1), Target(30.0, 0.95), [])


def test_one_in_twenty_may_fall_below() -> None:
    assert [Target(40.0, 0.95).may_fail(videos) for videos in (19, 20, 40)] == [0, 1, 2]


def test_the_report_tells_all_jobs_and_those_since_it_skips() -> None:
    jobs = [Job(50, 0.0, math.inf), Job(50, 100.0, math.inf), Job(10, 0.0, 39.0), Job(14, 4.0, 41.0)]
    report = Report(
        Regime(3.0, 3.0, 50), Target(40.0, 0.95), jobs,
        {"euler": None, "unipc": Schedule("unipc", "20 steps", 20.0, [41.0, 45.0])},
    )  # fmt: skip
    assert list(report.grid().rows) == [
        ["ours, all jobs", "31.0", "26.0", "4", "75.0%", "39.0"],
        ["ours, from the first that skips", "12.0", "2.0", "2", "50.0%", "39.0"],
        ["euler", "none keeps it", "·", "·", "·", "·"],
        ["unipc, 20 steps", "20.0", "·", "2", "100.0%", "41.0"],
    ]
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_tiny_promise_from_the_command_line(tmp_path: Path) -> None:
    words = ["--jobs", "2", "--steps", "6", "--videos", "1", "--schedules", "euler", "--fidelity-db", "10"]
    with pytest.raises(SystemExit) as leaving:
        main(["bench-fidelity", *words, "--out", str(tmp_path)])
    assert not leaving.value.code
    told = json.loads((tmp_path / "fidelity.json").read_text())
    assert [job["evaluations"] for job in told["jobs"]] == [6, 6], "nothing was shown to hold yet"
    assert (tmp_path / "fidelity.png").read_bytes().startswith(b"\x89PNG")
    assert "| euler, " in (tmp_path / "fidelity.md").read_text()


def test_a_schedule_there_is_not_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["bench-fidelity", "--schedules", "magic", "--out", str(tmp_path)])
    assert leaving.value.code == 2
    assert "no method named 'magic'" in capsys.readouterr().err
