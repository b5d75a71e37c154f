"""The queue's figures in words and numbers, beside what was promised. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastflow_ray.bench.result_files import save
from fastflow_ray.counted import counted
from fastflow_ray.queue.benchmark.load import Beats, Claims

MOST_CLAIM_P99_MS, MOST_CORE_SHARE = 5.0, 0.25  # what was promised, at 100,000 jobs and at 1,000 workers

Rows = list[tuple[str, str, str]]  # what, measured, at most


def rows(claims: Claims, beats: Beats) -> Rows:
    """A line per figure."""
    share = f"{beats.core_share:.1%} of a core"
    beating = f"{counted(beats.workers, 'worker')} beating every {beats.beat_s:g} s"
    return [
        (f"claim with {claims.queued:,} queued, median", f"{claims.p50_ms:.2f} ms", ""),
        ("… 99 of 100", f"{claims.p99_ms:.2f} ms", f"{MOST_CLAIM_P99_MS:g} ms"),
        ("… of that, by the server's own clock", f"{claims.server_p99_ms:.2f} ms", ""),
        (f"… longest of {claims.claims:,}", f"{claims.longest_ms:.2f} ms", ""),
        ("submits by one client", f"{claims.submits_per_s:,.0f} per s", ""),
        (f"server, {beating}", share, f"{MOST_CORE_SHARE:.0%}"),
        (f"heartbeat, 99 of 100 of {beats.beats:,}", f"{beats.p99_ms:.2f} ms", ""),
    ]


def write(folder: Path, claims: Claims, beats: Beats, facts: Mapping[str, Any]) -> None:
    """Leave `queue.json` and `queue.md`; raises FastFlowError if one cannot be written."""
    table = [
        "| | measured | at most |",
        "|---|---:|---:|",
        *("| " + " | ".join(row) + " |" for row in rows(claims, beats)),
    ]
    told = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    save(folder, "queue", {**facts, "claims": asdict(claims), "beats": asdict(beats)}, ["\n".join(table), told])
