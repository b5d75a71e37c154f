"""Tables that make room: which layout a terminal is wide enough for."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table

GAP = 2  # columns between two of a table's


class Fitting:
    """Shown as `wide`, or as `narrow` where `wide` would have to break a word."""

    def __init__(self, wide: Table, narrow: Table) -> None:
        """The columns of `wide` stand `GAP` apart."""
        self._wide, self._narrow = wide, narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = [_least(column, console, options) for column in self._wide.columns]
        unbroken = sum(least) + GAP * (len(least) - 1)
        yield self._wide if unbroken <= options.max_width else self._narrow


def _least(column: Column, console: Console, options: ConsoleOptions) -> int:
    """The width that a column needs for whole words, or for whole lines if it is not to be wrapped."""
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    return max(size.maximum if column.no_wrap else size.minimum for size in sizes)
