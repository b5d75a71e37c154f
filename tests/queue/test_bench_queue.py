"""`fastflow-ray bench-queue` from the command line to the files it leaves; what it measures is for nobody to assert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastflow_ray.cli import main


def test_a_tiny_benchmark_of_the_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench-queue", "--queued", "30", "--claims", "20", "--workers", "100", "--seconds", "0.5"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path)])
    assert ended.value.code in (0, None)
    found = json.loads((tmp_path / "queue.json").read_text())
    assert (found["claims"]["queued"], found["claims"]["claims"]) == (30, 20)
    assert 0 < found["claims"]["p50_ms"] <= found["claims"]["p99_ms"] <= found["claims"]["longest_ms"]
    assert found["claims"]["server_p99_ms"] > 0
    assert (found["beats"]["workers"], found["beats"]["beats"]) == (100, 5)
    assert "of a core" in capsys.readouterr().out
    assert "| submits by one client |" in (tmp_path / "queue.md").read_text()


def test_one_beat_at_least_is_measured(tmp_path: Path) -> None:
    words = ["bench-queue", "--queued", "2", "--claims", "2", "--workers", "1", "--seconds", "0.1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path)])
    assert ended.value.code in (0, None)
    assert json.loads((tmp_path / "queue.json").read_text())["beats"]["beats"] == 1
