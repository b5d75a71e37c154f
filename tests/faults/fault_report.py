"""The table with which `make faults` ends.

A recovery is the longest time that something took to be well again, beside what is promised on a machine that has time
for it: from a worker's death to its job's requeue, from a server's return to the next claim, from any call to its
answer. The tests do not judge it; the table marks what took longer than promised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FIGURES = "faults"  # the name of the property under which a test tells its figures
COLUMNS = ("test", "outcome", "seed", "faults struck", "jobs", "violations", "last recovery s", "promised s", "seconds")


def rows_of(stats: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """One row per test that told figures, from what pytest collected."""
    reports = [report for outcome in ("passed", "failed") for report in stats.get(outcome, ())]
    return [
        {"test": report.nodeid.partition("::")[2], "outcome": report.outcome, "seconds": round(report.duration, 1)}
        | json.loads(figures)
        for report in reports
        if report.when == "call"
        for name, figures in report.user_properties
        if name == FIGURES
    ]


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    lines = [
        COLUMNS,
        ["---"] * len(COLUMNS),
        *([_cell(_marked(row).get(_key(column))) for column in COLUMNS] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(rows: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """The table, and beside it everything the tests told as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(rows, indent=2))
    path = folder / "report.md"
    path.write_text(table_of(rows) + "\n")
    return path


def _marked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    took_s, promised_s = row.get("recovery_s"), row.get("promised_s")
    if took_s is None or promised_s is None or took_s <= promised_s:
        return row
    return {**row, "recovery_s": f"**{took_s:.2f}, too long**"}


def _key(column: str) -> str:
    return {"faults struck": "struck", "last recovery s": "recovery_s", "promised s": "promised_s"}.get(column, column)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.2f}"
        case dict():
            return ", ".join(f"{number} {name}" for name, number in value.items())
    return str(value)
