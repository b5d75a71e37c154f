"""The demo's table and sentences: pure functions of records."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord
from orchestration.demo import titled
from orchestration.demo_summary import summary_lines, summary_table

PROMPT = "a small white square drifting to the right over a brown background"
DONE = JobRecord(
    "ab12",
    JobState.SUCCEEDED,
    json.dumps({"prompt": PROMPT}),
    "default",
    1,
    0,
    1.0,
    result={
        "steps": 50,
        "evaluations": {"planned": 19, "made": 19, "skipped": 31, "nfe": 38, "baseline_nfe": 100},
        "phase_s": {"text_encode": 0.12, "sample": 3.45, "decode": 0.67, "encode": 0.89},
        "audit": None,
    },
)


def row(columns: int) -> str:
    screen = Console(file=StringIO(), width=columns)
    screen.print(summary_table([DONE]))
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue().splitlines()[3]


def test_a_narrow_terminal_shortens_the_prompt_and_no_number() -> None:
    numbers = ["19", "19", "31", "2.63×", "0.12", "3.45", "0.67", "0.89"]
    assert row(200).split() == [*PROMPT.split(), *numbers]
    assert row(72).split()[-8:] == numbers
    assert row(72).split()[:2] == ["a", "small…"]


def test_a_film_has_its_prompt_as_title_with_all_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "on a black background, a small orange triangle moves to the left"
    other = replace(DONE, job_id="cd34", payload=json.dumps({"prompt": prompt}))
    unfinished = replace(DONE, job_id="ef56", state=JobState.DEAD)
    monkeypatch.setattr("orchestration.demo.read_video", lambda path: path.stem)
    films = {"ab12": tmp_path / "1.mp4", "cd34": tmp_path / "2.mp4"}
    assert titled([DONE, unfinished, other], films) == [(PROMPT, "1"), (prompt, "2")]


def test_a_resumed_video_says_nothing_about_how_much_sooner_it_was_there() -> None:
    audit = {"psnr_db": 50.0, "ssim": 0.9, "full_nfe": 100, "full_sample_s": 6.9, "nfe": 100}
    whole = replace(DONE, result={**(DONE.result or {}), "audit": audit, "resumed_at_steps": []})
    resumed = replace(DONE, result={**(whole.result or {}), "phase_s": {"sample": 0.1}, "resumed_at_steps": [49]})
    told = "sampling took 2.0 times less time"
    assert told in " ".join(summary_lines([whole, whole]))
    assert told in " ".join(summary_lines([whole, resumed]))
    assert "(PSNR, median 50.0)." in " ".join(summary_lines([resumed]))
