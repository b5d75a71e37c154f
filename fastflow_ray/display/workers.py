"""Who serves which model, as people watch it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from fastflow_ray.display.words import on_one_line
from fastflow_ray.queue.worker_card import RESTING, Service


def workers_table(services: Sequence[Service]) -> Table:
    """One row per worker, by model."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("model", "worker", "GPU", "state", "makes", "publishes", "beats", "heard of"):
        table.add_column(heading, no_wrap=heading in ("makes", "publishes"), overflow="fold")
    for service in services:
        for card in service.workers:
            told = (card.worker, card.gpu, card.state, card.job_id or "", card.publishing or "")
            heard = (str(card.beats), f"{card.silent_s:.0f} s ago")
            table.add_row(service.model, *map(on_one_line, told), *heard)
    return table


def rests(services: Sequence[Service]) -> Iterator[str]:
    """Which worker leaves which model to others for a while, and why; a line each."""
    for service in services:
        for card in service.workers:
            if card.state == RESTING:
                yield on_one_line(f"{card.worker} rests {service.model}: {card.why}")
