"""Spin walks every interleaving of what befalls a job in `lease.pml`: what it promises holds in all.

Collected where `spin` and a C compiler are installed (Debian: apt-get install spin gcc).
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).parent / "lease.pml"
PROMISES = (
    "one_completion",
    "by_the_greatest_fence",
    "no_live_job_is_taken",
    "a_lost_answer_is_no_crash",
    "what_is_published_succeeds",
    "every_job_ends",
)
BREAKS = {  # a mistake in the model → the promise it breaks
    "NO_STATE": "one_completion",
    "NO_FENCE": "by_the_greatest_fence",
    "NO_BEATS": "no_live_job_is_taken",
    "ONE_PHASE": "no_live_job_is_taken",
    "NO_REAPER": "every_job_ends",
    "NO_NONCE": "a_lost_answer_is_no_crash",
    "NO_LOOK": "what_is_published_succeeds",
}


def verifier(folder: Path, mistake: str = "") -> Path:
    """The program that spin writes for the model."""
    options = [f"-D{mistake}"] if mistake else []
    subprocess.run(["spin", *options, "-a", MODEL], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-w", "-O1", "-o", "pan", "pan.c"], cwd=folder, check=True)
    return folder / "pan"


def errors(program: Path, promise: str) -> int:
    """How many ways there are to break the promise (it stops at the first), under weak fairness."""
    said = subprocess.run(
        [program, "-a", "-f", "-m100000", "-N", promise], cwd=program.parent, capture_output=True, text=True
    )
    assert "max search depth too small" not in said.stdout
    assert "Search not completed" not in said.stdout or "errors: 1" in said.stdout
    found = re.search(r"errors: (\d+)", said.stdout)
    assert found, said.stdout + said.stderr
    return int(found[1])


def test_every_promise_holds_in_every_interleaving(tmp_path: Path) -> None:
    program = verifier(tmp_path)
    assert {promise: errors(program, promise) for promise in PROMISES} == dict.fromkeys(PROMISES, 0)


@pytest.mark.parametrize(("mistake", "promise"), BREAKS.items())
def test_a_mistake_in_the_model_is_found(tmp_path: Path, mistake: str, promise: str) -> None:
    assert errors(verifier(tmp_path, mistake), promise) == 1
