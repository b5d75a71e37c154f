"""Tables that make room: which layout a terminal is wide enough for."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table

GAP = 2  # columns between two of a table's


class Fitting:
    """Shown as `wide`, or as `narrow` on fewer columns than are needed: to break no word, where no number is given."""

    def __init__(self, wide: Table, narrow: RenderableType, needed: int | None = None) -> None:
        """The columns of `wide` stand `GAP` apart, unless `needed` says how many of the terminal's it takes."""
        self._wide, self._narrow, self._needed = wide, narrow, needed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = _unbroken(self._wide, console, options) if self._needed is None else self._needed
        yield self._wide if needed <= options.max_width else self._narrow


def _unbroken(table: Table, console: Console, options: ConsoleOptions) -> int:
    least = [_least(column, console, options) for column in table.columns]
    return sum(least) + GAP * (len(least) - 1)


def _least(column: Column, console: Console, options: ConsoleOptions) -> int:
    """The width that a column needs for whole words, or for whole lines if it is not to be wrapped."""
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    return max(size.maximum if column.no_wrap else size.minimum for size in sizes)
