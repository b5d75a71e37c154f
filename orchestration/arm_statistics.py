"""What the whole fleet has learnt about skipping one model, from the reports of all its workers.

Redis holds the truth and this keeps a copy: a report is answered only after it was written down. Others may write there
too, as the next fleet does while this one hands over to it. Knows nothing of Ray; `statistics_actor.py` puts it into an
actor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.pages import Pages
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.errors import QueueUnavailable, StatisticsMismatch, StatisticsUnavailable
from fastflow_ray.queue.statistics_store import Kept, StatisticsStore

TRIES = 8  # to write a report down before another writer does


class FleetStatistics:
    """Outlives its process; `StatisticsByModel` is the sink above it. Several may share one store."""

    def __init__(self, store: StatisticsStore) -> None:
        self._store = store
        self._copy: Ledger | None = None  # None: to be read from the store
        self._revision = ""  # the copy's
        self.pulls = self.runs = 0  # skips' errors, and generations, learnt from since this object was made
        self.persist_errors = 0
        self.updated_s: float | None = None  # when something was last learnt, since the epoch

    def add(self, worker: str, sequence: int, learnt: Statistics) -> None:
        """Learn it once per (worker, sequence).

        Raises QueueUnavailable if it could not be written down, StatisticsUnavailable if what is kept cannot be read,
        or others wrote again and again meanwhile: send it again, it will not count twice. Raises StatisticsMismatch,
        changing nothing, if it is damaged or of another grid.
        """
        for _ in range(TRIES):
            ledger = self._ledger()
            if ledger.has(worker, sequence):
                return
            ledger.add(worker, sequence, learnt)
            if self._write_down(ledger, worker, learnt.keys):
                self.pulls += sum(int(table.pulls.sum()) for table in learnt.tables.values())
                self.runs += sum(map(learnt.runs, learnt.keys))
                self.updated_s = time.time()
                return
        raise StatisticsUnavailable(f"others wrote first, {TRIES} times over; the report is to be sent again")

    def anew(self) -> Pages:
        """All statistics as they are now, for others may have written since; raises QueueUnavailable or
        StatisticsUnavailable if they cannot be read."""
        if self._copy is not None and (kept := self._store.load_unless(self._revision)) is not None:
            self._take(kept)
        return self.latest()

    def latest(self) -> Pages:
        """All statistics as of the last reading or writing here; raises as `anew`."""
        return self._ledger().pages

    def _ledger(self) -> Ledger:
        return self._copy or self._take(self._store.load())

    def _take(self, kept: Kept) -> Ledger:
        try:
            self._copy = Ledger(Statistics.sum_of(kept.documents.values()), kept.sequences)
        except StatisticsMismatch as damage:
            # Not the fault of whoever reports: a refusal would make the worker throw its report away.
            message = f"what is kept in Redis is damaged; mend or delete it: {damage}"
            raise StatisticsUnavailable(message) from damage
        self._revision = kept.revision
        return self._copy

    def _write_down(self, ledger: Ledger, worker: str, changed: Iterable[str]) -> bool:
        """False: not written, for somebody else wrote since the copy was read."""
        documents = {key: ledger.pages.only(key).to_json() for key in changed}
        self._copy = None  # until it is known to be what the store holds: now it has a report more
        try:
            revision = self._store.save(documents, worker, ledger.seen[worker], self._revision)
        except QueueUnavailable:
            # Whether the write took place is unknown. Kept in memory, this report would be saved along with the next
            # worker's, without its own sequence, and count twice if this process then died. So: read anew.
            self.persist_errors += 1
            raise
        if revision is None:
            return False
        self._copy, self._revision = ledger, revision
        return True
