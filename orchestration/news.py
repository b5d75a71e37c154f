"""What changed in a fleet from one look to the next, in lines that stay on the screen. Knows no screen and no Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestration.supervisor import READY, FleetStatus


class News:
    """Of one fleet, told once each: workers that died, that they rest or go on, and machines that rest."""

    def __init__(self, logs: Path | None) -> None:
        """`logs` is where the workers write theirs."""
        self._logs = logs
        self._died = 0
        self._resting = False
        self._machines: set[str] = set()  # that rest

    def of(self, status: FleetStatus) -> Iterator[str]:
        """What is new in it."""
        yield from self._deaths(status.exits.get("died", 0))
        yield from self._rests(status)
        yield from (f"! {why}" for machine, why in status.resting.items() if machine not in self._machines)
        self._machines = set(status.resting)

    def _deaths(self, died: int) -> Iterator[str]:
        if died > self._died:
            who = "a worker" if died == self._died + 1 else f"{died - self._died} workers"
            yield f"! {who} died; a job in hand is tried again when its lease has run out. The logs are in {self._logs}"
        self._died = died

    def _rests(self, status: FleetStatus) -> Iterator[str]:
        whys = [worker.rests for worker in status.workers if worker.rests]
        if whys and not self._resting:
            some = f"{len(whys)} of {len(status.workers)}"
            yield f"! Workers rest ({some}), for the store keeps nothing; no job loses an attempt by it: {whys[0]}"
        at_work = any(worker.state in READY and not worker.rests for worker in status.workers)
        if self._resting and at_work and not whys:
            yield "The store keeps what it is given again; the workers go on."
        self._resting = bool(whys) or (self._resting and not at_work)
