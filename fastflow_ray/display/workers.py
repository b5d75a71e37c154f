"""Who serves which model, as people watch it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from fastflow_ray.display.words import on_one_line
from fastflow_ray.queue.worker_card import RESTING, Service, WorkerCard

HANDS = ("makes", "publishes")  # what a worker does with the two jobs it may have


def workers_table(services: Sequence[Service], ids_below: bool = False) -> Table:
    """One row per worker, by model; `ids_below` puts the jobs it has in hand below its name.

    On a narrow terminal model and GPU give way, then the others, marked where they are cut.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for heading in ("model", "worker", "GPU", "state", *(() if ids_below else HANDS), "beats", "heard of"):
        folds = heading in ("model", "GPU")
        table.add_column(heading, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for service in services:
        for card in service.workers:
            heard = (str(card.beats), f"{card.silent_s:.0f} s ago")
            table.add_row(Text(on_one_line(service.model)), *(_stacked(card) if ids_below else _abreast(card)), *heard)
    return table


def rests(services: Sequence[Service]) -> Iterator[str]:
    """Which worker leaves which model to others for a while, and why; a line each."""
    for service in services:
        for card in service.workers:
            if card.state == RESTING:
                yield on_one_line(f"{card.worker} rests {service.model}: {card.why}")


def _abreast(card: WorkerCard) -> Iterator[Text]:
    """Name, GPU and state, then a cell for each job."""
    for fact in (card.worker, card.gpu, card.state, card.job_id, card.publishing):
        yield Text(on_one_line(fact or ""))


def _stacked(card: WorkerCard) -> tuple[Text, Text, Text]:
    """Name, GPU and state; below the name the ids, and below the state what it does with them."""
    hands = {doing: job_id for doing, job_id in zip(HANDS, (card.job_id, card.publishing), strict=True) if job_id}
    names = Text(on_one_line(card.worker))
    for job_id in hands.values():
        names.append(f"\n{on_one_line(job_id)}", "bright_black")
    return names, Text(on_one_line(card.gpu)), Text("\n".join([on_one_line(card.state), *hands]))
