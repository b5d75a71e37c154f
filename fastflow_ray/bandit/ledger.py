"""The fleet's statistics in one place, each worker's report counted once. An `ObservationSink` without an actor."""

from __future__ import annotations

from collections.abc import Mapping

from fastflow_ray.bandit.statistics import Statistics


class Ledger:
    """Merges deltas at most once per (worker, sequence), so that a report may safely be sent again.

    A report costs what it has itself, however much is known: tables under other keys are neither copied nor written
    anew. Whoever keeps it must write a merged table and the sequence in `seen` together, or a report could be lost or
    counted twice.
    """

    def __init__(self, statistics: Statistics | None = None, seen: Mapping[str, int] | None = None) -> None:
        self.statistics = statistics or Statistics()
        self.pages = self.statistics.pages()
        self.seen: dict[str, int] = dict(seen or {})  # worker → the last sequence merged

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """Add a delta unless one of this or a later sequence is in; answers the snapshot after it.

        Raises StatisticsMismatch, changing nothing, if the delta is damaged or of another grid or other arms.
        """
        if not self.has(worker, sequence):
            self.add(worker, sequence, Statistics.from_json(delta))
        return self.snapshot()

    def has(self, worker: str, sequence: int) -> bool:
        """Whether a report of this or a later sequence is in."""
        return sequence <= self.seen.get(worker, -1)

    def add(self, worker: str, sequence: int, learnt: Statistics) -> None:
        """Add a report that is not in; raises StatisticsMismatch, changing nothing."""
        statistics = self.statistics.plus(learnt)
        self.pages = self.pages.updated(statistics.of(*learnt.keys).pages())
        self.statistics = statistics
        self.seen[worker] = sequence

    def snapshot(self) -> str:
        """All statistics as they are now."""
        return self.pages.to_json()
