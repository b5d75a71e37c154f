"""Where a worker's observations go, as the worker sees it; the central actor on the floor above implements it."""

from __future__ import annotations

from typing import Protocol


class ObservationSink(Protocol):
    """Merges what workers learnt and answers with what the whole fleet knows. Payloads are versioned JSON."""

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """Add a delta once per (worker, sequence); answers the snapshot after it."""

    def snapshot(self) -> str:
        """All statistics as they are now."""
