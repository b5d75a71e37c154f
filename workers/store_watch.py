"""Whether the store keeps what it is given: once it failed somebody, that has to be proven before more is made for it.

A store that keeps nothing is no job's fault: tried again and again, all that wait would be computed in vain and buried.
One that is nearly full still takes a few bytes, so the proof is as large as the result it was to keep. Knows no job.
"""

from __future__ import annotations

import logging
import threading

from fastflow_ray.errors import StorageFailed
from fastflow_ray.storage import Store

log = logging.getLogger(__name__)

MARGIN_BYTES = 2**16  # beyond the files of a result: its manifest, folders, blocks that are not filled
FIRST_PAUSE_S = 0.2  # before a proof; twice as long after each in vain, until a result is kept
LONGEST_PAUSE_S = 60.0


class StoreWatch:
    """Of one worker; for any thread."""

    def __init__(self, store: Store, worker: str) -> None:
        """`worker` is for the log."""
        self.in_doubt = False  # it failed somebody, and has not proven since that it keeps what it is given
        self.why = ""  # it keeps nothing; empty: as far as is known it does
        self._store = store
        self._worker = worker
        self._result_bytes = 0  # of the latest result, or since it is in doubt of the largest
        self._failures = 0  # to prove it, since a result was kept
        self._proving = threading.Lock()

    @property
    def pause_s(self) -> float:
        """How long to leave it alone before the next proof."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))

    def expect(self, result_bytes: int) -> None:
        """A result of this size goes to it now."""
        self._result_bytes = max(result_bytes, self._result_bytes) if self.in_doubt else result_bytes

    def kept(self) -> None:
        """It kept a result."""
        self._failures = 0

    def is_to_blame(self) -> bool:
        """Asked when it failed somebody: whether it would have failed anybody. Nothing is to be begun meanwhile."""
        self.in_doubt = True
        return bool(self.why) or not self.proves()

    def proves(self) -> bool:
        """Have it prove that there is room for a result; if it does, the doubt is over."""
        with self._proving:
            try:
                self._store.check(self._result_bytes + MARGIN_BYTES)
            except StorageFailed as failure:
                self._failed(str(failure))
            else:
                self._passed()
            return not self.in_doubt

    def _failed(self, why: str) -> None:
        if not self.why:
            log.warning("! worker %s rests, for its store keeps nothing: %s", self._worker, why)
        self.why, self._failures, self.in_doubt = why, self._failures + 1, True

    def _passed(self) -> None:
        if self.why:
            log.info("-> worker %s goes on, for its store keeps what it is given", self._worker)
        self.why, self.in_doubt = "", False
