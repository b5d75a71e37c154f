"""Who serves which model, as people watch it.

Three layouts of the same facts: a cell for each (`_abreast`, for pipes), jobs below the names of their workers
(`_stacked`, for terminals), and everything below the names of models (`_by_model`, for narrow ones).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fastflow_ray.display.fitting import GAP, Fitting
from fastflow_ray.display.words import on_one_line
from fastflow_ray.queue.worker_card import RESTING, Service, WorkerCard

HANDS = ("makes", "publishes")  # what a worker does with the two jobs it may have
NUMBERS = ("beats", "heard of")


def workers_table(services: Sequence[Service], ids_below: bool = False) -> RenderableType:
    """One row per worker, by model; `ids_below` puts the jobs it has in hand below its name.

    On a narrow terminal model and GPU give way, then the others, marked where they are cut. With `ids_below`, where a
    word would have to be broken, the model stands above its workers, and what each computes on below its name.
    """
    return Fitting(_stacked(services), _by_model(services)) if ids_below else _abreast(services)


def rests(services: Sequence[Service]) -> Iterator[str]:
    """Which worker leaves which model to others for a while, and why; a line each."""
    for service in services:
        for card in service.workers:
            if card.state == RESTING:
                yield on_one_line(f"{card.worker} rests {service.model}: {card.why}")


def _abreast(services: Sequence[Service]) -> Table:
    table = _table("model", "worker", "GPU", "state", *HANDS, *NUMBERS)
    for service in services:
        for card in service.workers:
            facts = (service.model, card.worker, card.gpu, card.state, card.job_id, card.publishing)
            table.add_row(*(_cell(fact or "") for fact in facts), *_numbers(card))
    return table


def _stacked(services: Sequence[Service]) -> Table:
    """Below a name the ids of its jobs, and below the state what it does with them."""
    table = _table("model", "worker", "GPU", "state", *NUMBERS)
    for service in services:
        for card in service.workers:
            name, state, hands = _cell(card.worker), _cell(card.state), _hands(card)
            for doing, job_id in hands.items():
                name.append(f"\n{on_one_line(job_id)}", "bright_black")
                state.append(f"\n{doing}")
            table.add_row(_cell(service.model), name, _cell(card.gpu), state, *_numbers(card))
    return table


def _by_model(services: Sequence[Service]) -> Table:
    """A line for each model, each worker, what it computes on and each of its jobs."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("model, worker", overflow="fold")
    table.add_column("state", no_wrap=True)
    for heading in NUMBERS:
        table.add_column(heading, justify="right", no_wrap=True)
    for service in services:
        if service.workers:
            table.add_row(_cell(service.model, "bold"))
        for card in service.workers:
            table.add_row(_cell(card.worker), _cell(card.state), *_numbers(card))
            if card.gpu:
                table.add_row(_cell(card.gpu, "bright_black"))
            for doing, job_id in _hands(card).items():
                table.add_row(_cell(job_id, "bright_black"), doing)
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for heading in headings:
        folds = heading in ("model", "GPU")
        table.add_column(heading, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    return table


def _cell(fact: str, style: str = "") -> Text:
    return Text(on_one_line(fact), style)


def _hands(card: WorkerCard) -> dict[str, str]:
    """What it does, and with which job."""
    return {doing: job_id for doing, job_id in zip(HANDS, (card.job_id, card.publishing), strict=True) if job_id}


def _numbers(card: WorkerCard) -> tuple[str, str]:
    """How often it was heard of, and when last."""
    return str(card.beats), f"{card.silent_s:.0f} s ago"
