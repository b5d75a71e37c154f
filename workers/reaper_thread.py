"""Gives lost jobs back from a thread of its own, where no fleet's supervisor does: beside a worker without Ray."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from types import TracebackType

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.limits import GRACE_S, LOOK_S
from fastflow_ray.queue.reaper import Reaper

log = logging.getLogger(__name__)


class ReaperThread:
    """Looks after these queues for as long as the `with` lasts. There may be as many as there are workers: only one
    takes a lost job."""

    def __init__(self, queues: Iterable[JobQueue], grace_s: float = GRACE_S, look_s: float = LOOK_S) -> None:
        self._reapers = {queue.name: Reaper(queue, grace_s) for queue in queues}
        self._look_s = look_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reaper", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(self._look_s):
            for name, reaper in self._reapers.items():
                self._look(name, reaper)

    def _look(self, name: str, reaper: Reaper) -> None:
        try:
            for reaped in reaper.tick():
                log.info("-> %s of %s: its worker fell silent; now %s", reaped.seen.job_id, name, reaped.state)
        except Exception as error:  # a thread that ended here would leave jobs lost without a word
            defect = None if isinstance(error, QueueUnavailable) else error
            log.warning("! no look at %s for lost jobs: %s", name, error, exc_info=defect)
