"""Keeps a worker's card on every queue it serves, from a thread of its own. Knows no job.

A card only tells people something, so the device never waits for it. It is kept while there are signs of life, and not
by a mere clock: a worker whose device hangs falls silent, and is forgotten like a dead one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.worker_card import WorkerCard

log = logging.getLogger(__name__)


class CardKeeper:
    """Of one worker, from `start` to `close`."""

    def __init__(
        self,
        queues: Iterable[JobQueue],
        card: Callable[[str], WorkerCard],
        lease_s: float,
        beat_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`card` is what to show now on the queue of that name, asked from any thread."""
        self._queues = list(queues)
        self._card = card
        self._lease_s = lease_s
        self._beat_s = beat_s
        self._clock = clock
        self._shown: list[WorkerCard] = []
        self._shown_s = clock()
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="cards", daemon=True)

    def show(self, good_s: float) -> None:
        """Lay the card down everywhere, here and now, good for so long."""
        self._shown, self._shown_s = self._cards(), self._clock()
        for queue, card in zip(self._queues, self._shown, strict=True):
            with suppress(QueueUnavailable):  # it is laid down again with the next beat, or news
                queue.sign_in(card, good_s)

    def start(self) -> None:
        """Keep it from now on, good for a lease after every sign of life."""
        self._thread.start()
        self.heard_of()

    def heard_of(self) -> None:
        """A sign of life, with or without news; returns at once."""
        self._news.set()

    def close(self) -> None:
        """Take the card away from everywhere."""
        self._over.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()
        for queue, card in zip(self._queues, self._cards(), strict=True):
            with suppress(QueueUnavailable):
                queue.sign_off(card.worker)

    def _keep(self) -> None:
        while self._news.wait() and not self._over.is_set():
            self._news.clear()
            try:
                self._refresh()
            except Exception:  # a thread that ended here would leave a worker that works without a card
                log.warning("! a card was not shown; the next sign of life shows it", exc_info=True)

    def _refresh(self) -> None:
        if self._cards() != self._shown or self._clock() - self._shown_s >= self._beat_s:
            self.show(self._lease_s)

    def _cards(self) -> list[WorkerCard]:
        return [self._card(queue.name) for queue in self._queues]
