"""`fastflow-ray bench-reports` from the command line to the file it leaves; the times are for nobody to assert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastflow_ray.cli import main


def test_a_tiny_benchmark_of_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench-reports", "--models", "2", "--keys", "3", "--reports", "7", "--out", str(tmp_path)])
    assert ended.value.code in (0, None)
    found = json.loads((tmp_path / "reports.json").read_text())
    assert (found["models"], found["keys"], found["reports"]) == (2, 3, 7)
    assert 6 * 20_000 < found["answer_bytes"] < 6 * 64 * 1024, "every key's trajectories at 50 steps, none above 64 KiB"
    assert found["report_bytes"] < 64 * 1024
    assert min(found[name] for name in ("merge_ms", "newcomer_ms", "read_ms")) > 0
    assert "2 × 3 policy keys" in capsys.readouterr().out
