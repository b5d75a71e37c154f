"""Whether the store keeps what it is given: once it failed somebody, that has to be proven before more is made for it.

A store that keeps nothing is no job's fault: tried again and again, all that wait would be computed in vain and buried.
Knows no job.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage import Store
from workers.store_proof import prove

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2  # before a proof; twice as long after each in vain, until a result is kept
LONGEST_PAUSE_S = 60.0


class StoreWatch:
    """Of one worker; for any thread."""

    def __init__(self, store: Store, worker: str) -> None:
        """`worker` is the name that proofs are made in."""
        self.in_doubt = False  # it failed somebody, and has not proven since that it keeps what it is given
        self.why = ""  # it keeps nothing; empty: as far as is known it does
        self._store = store
        self._worker = worker
        self._sent_bytes = 0  # of the latest result that went to it
        self._kept_bytes = 0  # of the largest that it kept
        self._failures = 0  # to prove it, since a result was kept
        self._proving = threading.Lock()

    @property
    def pause_s(self) -> float:
        """How long to leave it alone before the next proof."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))

    def expect(self, result_bytes: int) -> None:
        """A result of this size goes to it now."""
        self._sent_bytes = result_bytes

    def kept(self) -> None:
        """It kept a result."""
        self._kept_bytes = max(self._kept_bytes, self._sent_bytes)
        self._failures = 0

    def is_to_blame(self, on_progress: Callable[[], None] = lambda: None) -> bool:
        """Asked when it failed somebody: whether it would have failed anybody. Nothing is to be begun meanwhile;
        `on_progress` hears that the proof goes on."""
        self.in_doubt = True
        with self._proving:
            return bool(self.why) or not self._proves(on_progress)

    def is_trusted(self) -> bool:
        """Whether it is in no doubt; if it is, have it prove that there is room for a result, which ends the doubt."""
        with self._proving:
            return not self.in_doubt or self._proves(lambda: None)

    def _proves(self, on_progress: Callable[[], None]) -> bool:
        self.in_doubt = True
        try:
            prove(self._store, self._usual_bytes, self._worker, on_progress)
        except StorageFailed as failure:
            self._failed(str(failure))
        else:
            self._passed()
        return not self.in_doubt

    @property
    def _usual_bytes(self) -> int:
        """What it is to have room for: the result that it refused, but no more than it ever kept, or a single job too
        large for it would keep everyone from working."""
        return min(self._sent_bytes, self._kept_bytes or self._sent_bytes)

    def _failed(self, why: str) -> None:
        if not self.why:
            log.warning("! worker %s rests, for its store keeps nothing: %s", self._worker, why)
        self.why, self._failures = why, self._failures + 1

    def _passed(self) -> None:
        if self.why:
            log.info("-> worker %s goes on, for its store keeps what it is given", self._worker)
        self.why, self.in_doubt = "", False
