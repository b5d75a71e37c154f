"""The workers' cards of the in-memory twin. Not thread-safe by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastflow_ray.queue.limits import MESSAGE_LIMIT
from fastflow_ray.queue.worker_card import WorkerCard


class MemoryCards:
    """By worker, each good for a while."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._held: dict[str, tuple[WorkerCard, float, float]] = {}  # worker → card, when heard of, good until

    def heard_of(self, worker: str, good_s: float, beats: int = 0) -> None:
        """Its card is good for so long from now on, and counts so many heartbeats more; it may be an empty one."""
        card = self._card_of(worker)
        self._hold(replace(card, beats=card.beats + beats), good_s)

    def lay_down(self, card: WorkerCard, good_s: float) -> None:
        """In place of the worker's card before."""
        self._hold(replace(card, why=card.why[:MESSAGE_LIMIT], beats=self._card_of(card.worker).beats), good_s)

    def take_away(self, worker: str) -> None:
        """There is none of that worker any more."""
        self._held.pop(worker, None)

    def good(self) -> list[WorkerCard]:
        """Those that are still good, by name."""
        now_s, held = self._clock(), sorted(self._held.items())
        return [replace(card, silent_s=now_s - since_s) for _, (card, since_s, until_s) in held if until_s > now_s]

    def _hold(self, card: WorkerCard, good_s: float) -> None:
        self._held[card.worker] = (card, self._clock(), self._clock() + good_s)

    def _card_of(self, worker: str) -> WorkerCard:
        card, _, until_s = self._held.get(worker, (WorkerCard(worker), 0.0, 0.0))
        return card if until_s > self._clock() else WorkerCard(worker)
