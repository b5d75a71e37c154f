"""How fast simulated fleets learn."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from fastflow_ray.bench.regret.fleet import Job, run
from fastflow_ray.bench.regret.learning import Fleet, plateau, settled, speedup
from fastflow_ray.bench.regret.plot import draw
from fastflow_ray.bench.regret.simulation import Order
from fastflow_ray.bench.regret.world import World
from fastflow_ray.cli import main


def fleet(workers: int, *decibels: float) -> Fleet:
    """One world, whose best plan keeps 50 dB; a job per unit of time and worker."""
    jobs = [Job(float(place // workers), db, 10, 5) for place, db in enumerate(decibels)]
    return Fleet(f"{workers}", workers, [jobs], [50.0])


def test_a_full_run_loses_nothing() -> None:
    one = fleet(1, math.inf, 40.0, 45.0, 50.0)
    assert one.regret == [0.0, 10.0, 5.0, 0.0]
    assert one.total_regret == [0.0, 10.0, 15.0, 15.0]
    assert one.regret_served == 5.0
    assert one.learning == [5.0, 10.0, 15.0, 20.0]
    assert plateau(one) == 0.0


def test_it_has_settled_once_it_stays_near_the_plateau() -> None:
    assert settled(fleet(1, math.inf, 49.5, 40.0, 49.2, 50.0), 0.0) == 3.0
    assert settled(fleet(1, math.inf, 49.5, 40.0), 0.0) is None


def test_workers_that_lose_no_more_than_one_learn_as_many_times_faster() -> None:
    one = fleet(1, math.inf, 40.0, 50.0)
    assert speedup(one, fleet(2, math.inf, 40.0, 50.0)) == pytest.approx(2.0)
    assert speedup(one, fleet(2, math.inf, 30.0, 50.0)) == pytest.approx(1.0)


def test_a_fleet_learns_late_and_the_same_each_time() -> None:
    first, second = (run(World(12, 0), 2, 6, 6, delay=1.0, unit=6) for _ in range(2))
    assert first == second
    assert [math.isinf(job.fidelity_db) for job in first] == [True, True, False, False, False, False]
    assert [job.began for job in first[:3]] == [0.0, 0.0, 2.0]


def test_a_tiny_regret_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--fleets", "1,2", "--jobs", "6", "--worlds", "1", "--steps", "10", "--evaluations", "5"]
    with pytest.raises(SystemExit) as leaving:
        main(["bench-regret", *words, "--out", str(tmp_path)])
    assert not leaving.value.code
    told = json.loads((tmp_path / "regret.json").read_text())
    assert [each["workers"] for each in told["fleets"]] == [1, 2, 1]
    assert all(value >= 0 for each in told["fleets"][:2] for value in each["regret_by_job"])
    assert (tmp_path / "regret.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("count", [6, 16])
def test_more_fleets_than_colours_are_drawn(count: int, tmp_path: Path) -> None:
    order = Order(range(1, count + 1), 20, 1, 30, 12, 1.0, 0)
    fleets = [fleet(workers, math.inf, 40.0, 50.0) for workers in (*order.fleets, 1)]
    draw(order, fleets, 1.0, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fleets", "8", "--jobs", "8"], "8 workers would begin all of 8 jobs before anything was learnt"),
        (["--fleets", "1,8", "--jobs", "8"], "give every fleet more jobs than workers"),
        (["--steps", "12", "--evaluations", "12"], "12 of 12 steps evaluated leave nothing to lose"),
    ],
)
def test_fleets_that_would_run_all_jobs_in_full_are_refused_at_once(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as leaving:
        main(["bench-regret", "--worlds", "1", "--evaluations", "3", *words, "--out", str(out)])
    assert leaving.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_job_more_than_workers_is_served_a_plan() -> None:
    jobs = run(World(6, 0), 3, 4, 3, delay=1.0, unit=3)
    assert [math.isinf(job.fidelity_db) for job in jobs] == [True, True, True, False]


def test_a_fleet_of_nobody_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["bench-regret", "--fleets", "1,0"])
    assert leaving.value.code == 2
    assert "no list of whole numbers" in capsys.readouterr().err
