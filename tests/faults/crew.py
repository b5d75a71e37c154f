"""A crew of real worker processes that a test may kill, freeze and thaw, and that is always brought back to strength.

Only processes it started are ever signalled. They are forked from one process that has imported the workers' code.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import closing
from multiprocessing.context import ForkServerProcess
from types import TracebackType
from typing import Self

from forks import forks
from history import History
from recorded_queue import RecordedQueue
from worker_process import MODEL, WorkPlan, work

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.reaper import Reaped, Reaper

log = logging.getLogger(__name__)

LOOK_S = 0.1


class Crew:
    """A context manager. A thread of its own reaps leases and replaces the dead, as a fleet's supervisor does."""

    def __init__(self, plan: WorkPlan, size: int, grace_s: float = 1.0, ends_hung: bool = False) -> None:
        """`ends_hung`: also kill whoever holds a job that was taken from him."""
        self.plan = plan
        self.size = size
        self._grace_s = grace_s
        self._ends_hung = ends_hung
        self._history = History(plan.histories, "crew")
        self._processes: dict[str, ForkServerProcess] = {}
        self._frozen: set[str] = set()
        self._hired = 0
        self._lock = threading.RLock()
        self._leaving = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper")

    def __enter__(self) -> Self:
        self._replace_the_dead()
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._keeper.join()
        for process in self._processes.values():
            process.kill()  # a frozen one too
            process.join()
            process.close()
        self._history.close()

    def names(self) -> Sequence[str]:
        """Of those who are there and not frozen."""
        with self._lock:
            return [
                name for name, process in self._processes.items() if process.is_alive() and name not in self._frozen
            ]

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._send(name, signal.SIGKILL)

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        with self._lock:
            self._frozen.add(name)
            self._send(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        with self._lock:
            self._frozen.discard(name)
            self._send(name, signal.SIGCONT)

    def _send(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            process = self._processes.get(name)
            if process and process.is_alive() and process.pid:
                self._history.note(number.name, worker=name)
                os.kill(process.pid, number)

    def _keep(self) -> None:
        with closing(open_queue(self.plan.redis_url, MODEL, **self.plan.limits)) as queue:
            reaper = Reaper(RecordedQueue(queue, self._history), self._grace_s)  # type: ignore[arg-type]
            while not self._leaving.wait(LOOK_S):
                self._replace_the_dead()
                try:
                    holders = self._holders(queue)
                    self._end_hung(reaper.tick(), holders)
                except QueueUnavailable as away:
                    log.info("! the reaper waits: %s", away)

    def _holders(self, queue: JobQueue) -> dict[str, str | None]:
        """Job → worker, before any is taken; reading a thousand records takes a while, so only for who needs it."""
        return {record.job_id: record.worker for record in queue.list(limit=1_000)} if self._ends_hung else {}

    def _end_hung(self, reaped: Sequence[Reaped], holders: dict[str, str | None]) -> None:
        for one in reaped if self._ends_hung else ():
            self.kill(holders.get(one.seen.job_id) or "")

    def _replace_the_dead(self) -> None:
        with self._lock:
            for name in [name for name, process in self._processes.items() if not process.is_alive()]:
                self._processes.pop(name).close()
                self._frozen.discard(name)
            while len(self._processes) < self.size:
                self._hired += 1
                name = f"worker-{self._hired}"
                process = forks.Process(target=work, args=(self.plan, name), name=name)
                process.start()
                self._processes[name] = process
