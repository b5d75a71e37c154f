"""`fastflow-ray bench` from the command line to the files it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fastflow_ray.bench.subject import HELD_OUT, learning, measured
from fastflow_ray.cli import main
from fastflow_ray.training import shapes

METHODS = "euler,cache-dit-default,fastflow-uniform,fastflow"
WORDS = ["bench", "--prompts", "2", "--steps", "8", "--budgets", "2", "--learn", "3", "--methods", METHODS]


def code(*words: str) -> object:
    with pytest.raises(SystemExit) as leaving:
        main(list(words))
    return leaving.value.code


def test_a_tiny_benchmark_of_shapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(*WORDS, "--out", str(tmp_path)) in (0, None)
    told = capsys.readouterr().out
    result = json.loads((tmp_path / "bench.json").read_text())
    (comparison,) = result["comparisons"]
    rows = {curve["label"]: curve["points"] for curve in comparison["curves"]}
    assert {"euler", "fastflow-uniform", "fastflow (3 learnt)"} == set(rows)
    assert "its first 8 blocks always run" in comparison["not_applicable"]["cache-dit-default"]
    assert "cache-dit-default: not applicable" in " ".join(told.split())
    assert all(point["evaluations"] < 8 and point["prompts"] == 2 for points in rows.values() for point in points)
    assert rows["fastflow (3 learnt)"][0]["learning_evaluations"] > 8
    assert {"command", "revision", "threads"} < set(result)
    assert result["versions"]["torch"]
    assert result["machine"]["cores"] >= 1
    assert (tmp_path / "guidance3-shift3-steps8.png").read_bytes().startswith(b"\x89PNG")
    assert "| euler |" in (tmp_path / "bench.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--methods", "magic"], "no method named 'magic'"),
        (["--budgets", "fast"], "--budgets 'fast' is no list"),
        (["--budgets", "0.5"], "has to be 1 or more"),
        (["--steps", "2"], "has to be 6 or more"),
        (["--learn", "-1"], "has to be 0 or more"),
        (["--steps", "30.5"], "give whole numbers"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code("bench", *words, "--out", str(tmp_path)) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_interrupted_it_keeps_what_it_has(tmp_path: Path) -> None:
    words = ["bench", "--prompts", "400", "--steps", "6", "--budgets", "1.5", "--methods", "euler"]
    line = f"from fastflow_ray.cli import main; main({[*words, '--out', str(tmp_path)]!r})"
    ledger = tmp_path / "measurements.jsonl"
    with subprocess.Popen([sys.executable, "-c", line], stderr=subprocess.PIPE, text=True) as running:
        wait_for(running, ledger)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "goes on from there" in " ".join(errors.split())
    assert all(json.loads(each) for each in ledger.read_text().splitlines())


def wait_for(running: subprocess.Popen[str], ledger: Path) -> None:
    """Until something was measured; a process that ended first fails the test."""
    while not (ledger.exists() and ledger.stat().st_size):
        try:
            running.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"it ended with {running.returncode}")


@pytest.mark.parametrize("count", [12, 10_000])
def test_what_is_learnt_from_is_never_measured(count: int) -> None:
    taught, asked = learning(count), measured(500)
    assert len({each.seed for each in taught}) == count, "no video is made twice"
    assert not {each.prompt for each in taught} & {each.prompt for each in asked}
    assert not {each.seed for each in taught} & {each.seed for each in asked}
    assert len({each.seed for each in asked}) == 500
    assert HELD_OUT == shapes.HELD_OUT
