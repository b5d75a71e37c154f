"""Who serves which model, as people watch it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from fastflow_ray.display.words import on_one_line
from fastflow_ray.queue.worker_card import RESTING, Service, WorkerCard

HANDS = ("makes", "publishes")  # what a worker does with the two jobs it may have
GAP = 2  # columns between two of a table's


def workers_table(services: Sequence[Service], ids_below: bool = False) -> RenderableType:
    """One row per worker, by model; `ids_below` puts the jobs it has in hand below its name.

    On a narrow terminal model and GPU give way, then the others, marked where they are cut. With `ids_below`, where a
    word would have to be broken, the model stands above its workers, and what each computes on below its name.
    """
    return _Fitting(_columns(services, ids_below), _lines(services)) if ids_below else _columns(services, ids_below)


def rests(services: Sequence[Service]) -> Iterator[str]:
    """Which worker leaves which model to others for a while, and why; a line each."""
    for service in services:
        for card in service.workers:
            if card.state == RESTING:
                yield on_one_line(f"{card.worker} rests {service.model}: {card.why}")


class _Fitting:
    """A table, or another where the first would have to break a word."""

    def __init__(self, wide: Table, narrow: Table) -> None:
        self._wide, self._narrow = wide, narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def least(column: Column) -> int:
            sizes = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
            return max(size.maximum if column.no_wrap else size.minimum for size in sizes)

        unbroken = sum(least(column) + GAP for column in self._wide.columns) - GAP
        yield self._wide if unbroken <= options.max_width else self._narrow


def _columns(services: Sequence[Service], ids_below: bool) -> Table:
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("model", "worker", "GPU", "state", *(() if ids_below else HANDS), "beats", "heard of"):
        folds = heading in ("model", "GPU")
        table.add_column(heading, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for service in services:
        for card in service.workers:
            facts = _stacked(card) if ids_below else _abreast(card)
            table.add_row(Text(on_one_line(service.model)), *facts, *_heard(card))
    return table


def _lines(services: Sequence[Service]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("model, worker", overflow="fold")
    for heading in ("state", "beats", "heard of"):
        table.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
    for service in services:
        if service.workers:
            table.add_row(Text(on_one_line(service.model), "bold"))
        for card in service.workers:
            table.add_row(Text(on_one_line(card.worker)), Text(on_one_line(card.state)), *_heard(card))
            below = {"": card.gpu} if card.gpu else {}
            for doing, fact in {**below, **_hands(card)}.items():
                table.add_row(Text(on_one_line(fact), "bright_black"), doing)
    return table


def _abreast(card: WorkerCard) -> Iterator[Text]:
    """Name, GPU and state, then a cell for each job."""
    for fact in (card.worker, card.gpu, card.state, card.job_id, card.publishing):
        yield Text(on_one_line(fact or ""))


def _stacked(card: WorkerCard) -> tuple[Text, Text, Text]:
    """Name, GPU and state; below the name the ids, and below the state what it does with them."""
    hands, names = _hands(card), Text(on_one_line(card.worker))
    for job_id in hands.values():
        names.append(f"\n{on_one_line(job_id)}", "bright_black")
    return names, Text(on_one_line(card.gpu)), Text("\n".join([on_one_line(card.state), *hands]))


def _hands(card: WorkerCard) -> dict[str, str]:
    """What it does, and with which job."""
    return {doing: job_id for doing, job_id in zip(HANDS, (card.job_id, card.publishing), strict=True) if job_id}


def _heard(card: WorkerCard) -> tuple[str, str]:
    """How often, and when last."""
    return str(card.beats), f"{card.silent_s:.0f} s ago"
