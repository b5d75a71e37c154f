"""A generation in this process as people watch it: a spinner, then the bar of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from fastflow_ray.display.advance import bar, phase_text, seconds_text, so_far

if TYPE_CHECKING:
    from fastflow_ray.models.engine import OnStep, StepReport


@contextmanager
def shown(screen: Console) -> Iterator[OnStep]:
    """Yield what an engine tells its steps to; draws on a terminal only, and leaves nothing behind."""
    started_s = time.monotonic()
    with Live(console=screen, transient=True, refresh_per_second=8) as live:

        def on_step(report: StepReport) -> None:
            live.update(Spinner("dots", report_line(report, time.monotonic() - started_s)))

        yield on_step


def report_line(report: StepReport, elapsed_s: float) -> Text:
    """Phase, bar, counts and time, on one line of 80 columns."""
    now = so_far(report)
    counts = f"{now.step}/{now.steps}, {now.made} evaluated, {now.skipped} skipped"
    return Text.assemble(f"{phase_text(now):11} ", bar(now), f" {counts}  {seconds_text(elapsed_s)}")
