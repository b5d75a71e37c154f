"""How far a job is, and the bar that shows what skipping did.

A full cell stands for steps at which the network ran, a light one for steps it was spared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from fastflow_ray.counted import counted
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord, Progress

if TYPE_CHECKING:
    from fastflow_ray.models.engine import StepReport

BAR_CELLS = 24
MADE, SKIPPED, AHEAD = "█", "░", "·"


@dataclass(frozen=True)
class Advance:
    """How far a job is, whether it runs (from its progress) or has ended (from its manifest)."""

    phase: str = ""
    step: int = 0
    steps: int = 0
    made: int = 0  # of these, steps at which the network ran
    skipped: int = 0  # steps at which it did not
    audited: int = 0  # steps of its audit behind us, which has no end that is known
    evaluated_steps: Collection[int] | None = None  # known once the job has succeeded
    seconds: float | None = None  # to the end while it runs, spent once it has ended


def advance(record: JobRecord) -> Advance:
    """What the record tells of the job's steps; the manifest, if there is one, knows best."""
    if record.result and "evaluations" in record.result:
        return _finished(record, record.result)
    if record.state is JobState.RUNNING:
        return replace(so_far(record.progress), seconds=record.eta_s)
    return replace(so_far(record.progress), phase="", seconds=_spent_s(record))


def so_far(told: Progress | StepReport) -> Advance:
    """The video's own steps, and apart from them those of its audit."""
    step = min(told.step, told.own_steps)
    return Advance(told.phase, step, told.own_steps, told.evaluated, told.skipped, told.step - step)


def phase_text(now: Advance) -> str:
    """The phase; of an audit with its steps so far after a plus, where there is no room for words."""
    return f"audit+{now.audited}" if now.phase == "audit" else now.phase


def work_text(now: Advance) -> str:
    """What became of the steps behind us, and how far the audit is."""
    audited = f", {counted(now.audited, 'step')} of its audit" if now.audited else ""
    return f"{now.made} evaluated, {now.skipped} skipped{audited}"


def bar(now: Advance, cells: int = BAR_CELLS) -> Text:
    """The steps as a strip: which ran the network and which were spared, if known, else how many of each."""
    if not now.steps:
        return Text(AHEAD * cells, "bright_black")
    if now.evaluated_steps is None:
        made, passed = (round(cells * count / now.steps) for count in (now.made, now.made + now.skipped))
        marks = MADE * made + SKIPPED * (passed - made)
    else:
        marks = "".join(MADE if _ran_within(now, cell, cells) else SKIPPED for cell in range(cells))
    strip = Text(marks.ljust(cells, AHEAD)[:cells], "cyan" if now.evaluated_steps is None else "green")
    strip.highlight_regex(f"{AHEAD}+", "bright_black")
    return strip


def seconds_text(seconds: float | None) -> str:
    """4.2 s, then 3:07, then 1:05:09; nothing when unknown."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    return f"{hours}:{rest_min:02d}:{rest_s:02d}" if hours else f"{minutes}:{rest_s:02d}"


class Strip:
    """A bar as wide as its column."""

    def __init__(self, now: Advance) -> None:
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield bar(self._now, min(options.max_width, BAR_CELLS))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, BAR_CELLS)


def _finished(record: JobRecord, manifest: Mapping[str, Any]) -> Advance:
    return Advance(
        step=manifest["steps"],
        steps=manifest["steps"],
        made=manifest["evaluations"]["made"],
        skipped=manifest["evaluations"]["skipped"],
        evaluated_steps=frozenset(manifest["evaluated_steps"]),
        seconds=_spent_s(record),
    )


def _ran_within(now: Advance, cell: int, cells: int) -> bool:
    """Whether the network ran at any of the steps that this cell stands for (one at least)."""
    first = cell * now.steps // cells
    last = max(first + 1, (cell + 1) * now.steps // cells)
    return any(step in (now.evaluated_steps or ()) for step in range(first, last))


def _spent_s(record: JobRecord) -> float | None:
    if record.finished_s is None or record.claimed_s is None:
        return None
    return record.finished_s - record.claimed_s
