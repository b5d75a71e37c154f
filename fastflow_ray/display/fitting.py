"""Tables that make room: which layout a terminal is wide enough for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table

from fastflow_ray.display.console import ANY_LINE

GAP = 2  # columns between two of a table's


class Fitting:
    """Shown as `wide`, or as `narrow` on fewer columns than are needed: to break no word, where no number is given."""

    def __init__(self, wide: Table, narrow: RenderableType, needed: int | None = None) -> None:
        """The columns of `wide` stand `GAP` apart, unless `needed` says how many of the terminal's it takes."""
        self._wide, self._narrow, self._needed = wide, narrow, needed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = _unbroken(self._wide.columns, console, options) if self._needed is None else self._needed
        yield self._wide if needed <= options.max_width else self._narrow


class InParts:
    """A table whose cells stay whole: on a narrow terminal some columns at a time are shown, the first each time."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if Measurement.get(console, options.update(max_width=ANY_LINE), self._table).maximum <= options.max_width:
            yield self._table
            return
        for columns in self._parted(console, options):
            yield ""
            yield _part(self._table, columns)
        yield ""

    def _parted(self, console: Console, options: ConsoleOptions) -> Iterator[list[Column]]:
        first, *others = (replace(column, no_wrap=True) for column in self._table.columns)
        part = [first]
        for column in others:
            if len(part) > 1 and _unbroken([*part, column], console, options) > options.max_width:
                yield part
                part = [first]
            part.append(column)
        yield part


def _part(table: Table, columns: list[Column]) -> Table:
    """Some of its columns as a table, which stand `GAP` apart."""
    headings = (column.copy() for column in columns)  # a copy has no cells
    part = Table(*headings, box=table.box, show_edge=False, pad_edge=False, collapse_padding=True)
    for row in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*row)
    return part


def _unbroken(columns: Sequence[Column], console: Console, options: ConsoleOptions) -> int:
    least = [_least(column, console, options) for column in columns]
    return sum(least) + GAP * (len(least) - 1)


def _least(column: Column, console: Console, options: ConsoleOptions) -> int:
    """The width that a column needs for whole words, or for whole lines if it is not to be wrapped."""
    sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    return max(size.maximum if column.no_wrap else size.minimum for size in sizes)
