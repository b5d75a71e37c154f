"""The files a benchmark leaves: `bench.json`, `bench.md` and a picture per regime. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastflow_ray.bench.comparison import Comparison
from fastflow_ray.bench.plot import draw
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.result_files import save
from fastflow_ray.bench.table import at_equal_work, every_point, remarks
from fastflow_ray.counted import counted


def write(folder: Path, done: Sequence[Comparison], facts: Mapping[str, Any]) -> None:
    """Tell of all regimes so far, and draw the latest; raises FastFlowError if a file cannot be written."""
    result = {**facts, "comparisons": [comparison.to_dict() for comparison in done]}
    save(folder, "bench", result, [_headline(facts), *(_section(comparison) for comparison in done)])
    draw(done[-1], folder / picture(done[-1].regime))


def picture(regime: Regime) -> str:
    """The file name of a regime's plot."""
    return f"guidance{regime.guidance:g}-shift{regime.shift:g}-steps{regime.steps}.png"


def _headline(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items() if number)
    cores, threads = counted(facts["machine"]["cores"], "core"), counted(facts["threads"], "thread")
    machine = f"{facts['machine']['cpu']}, {cores}, {threads}"
    return f"`{facts['command']}`\n\nModel {facts['model']} {facts['revision']} on {machine}; {versions}."


def _section(comparison: Comparison) -> str:
    tables = [at_equal_work(comparison).to_markdown(), every_point(comparison).to_markdown()]
    return "\n\n".join([*tables, *filter(None, ["\n".join(f"- {remark}" for remark in remarks(comparison))])])
