"""The fleet's statistics in one place, each worker's report counted once. An `ObservationSink` without an actor."""

from __future__ import annotations

from collections.abc import Mapping

from fastflow_ray.bandit.statistics import Statistics


class Ledger:
    """Merges deltas at most once per (worker, sequence), so that a report may safely be sent again.

    Whoever keeps it must write a merged table and the sequence in `seen` together, or a report could be lost or counted
    twice.
    """

    def __init__(self, statistics: Statistics | None = None, seen: Mapping[str, int] | None = None) -> None:
        self.statistics = statistics or Statistics()
        self.seen: dict[str, int] = dict(seen or {})  # worker → the last sequence merged

    def merge(self, worker: str, sequence: int, delta: str) -> str:
        """Add a delta unless one of this or a later sequence is in; answers the snapshot after it.

        Raises StatisticsMismatch, changing nothing, if the delta is damaged or of another grid or other arms.
        """
        if sequence > self.seen.get(worker, -1):
            self.statistics = self.statistics.merge(Statistics.from_json(delta))
            self.seen[worker] = sequence
        return self.snapshot()

    def snapshot(self) -> str:
        """All statistics as they are now."""
        return self.statistics.to_json()
