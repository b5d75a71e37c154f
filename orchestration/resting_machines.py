"""Which machines get no workers for a while: those on which workers lose their devices again and again.

The device that was lost is the one that is free, so the next worker would begin there, take the next job and lose it
too. Knows no Ray; times are the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from orchestration.worker_pool import WorkerSight

LOSSES = 2  # before the first rest: fewer than a job's three attempts, so that one machine does not use them up
WITHIN_S = 3600.0  # what happened longer ago is forgotten
FIRST_REST_S = 600.0  # twice as long after each loss that follows a rest
LONGEST_REST_S = 7200.0
SHARE = 0.25  # of the machines may rest, and one at least: where more lose their devices it is the jobs, or a driver


@dataclass(frozen=True)
class Rest:
    """No worker begins there until then."""

    until_s: float
    times: int  # in a row

    @classmethod
    def after(cls, before: Rest | None, now_s: float) -> Rest:
        """The one that follows a loss."""
        times = before.times + 1 if before else 1
        return cls(now_s + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(times - 1, 10)), times)


class RestingMachines:
    """Of one fleet, as far as its supervisor has seen: its successor knows of none."""

    def __init__(self) -> None:
        self._machine_of: dict[str, str] = {}  # node → machine, wherever workers are or were not to begin
        self._losses: dict[str, list[float]] = {}  # by machine, when
        self._rests: dict[str, Rest] = {}  # by machine, those that are over too

    def see(self, workers: Iterable[WorkerSight], now_s: float) -> None:
        """Learn where everybody is, and forget what was long ago."""
        self._losses = {
            machine: recent
            for machine, losses in self._losses.items()
            if (recent := [lost_s for lost_s in losses if now_s - lost_s < WITHIN_S])
        }
        self._rests = {machine: rest for machine, rest in self._rests.items() if now_s - rest.until_s < WITHIN_S}
        known = {node: machine for node, machine in self._machine_of.items() if machine in self._rests}
        self._machine_of = known | {worker.node: worker.machine for worker in workers if worker.node}

    def lost(self, machine: str, now_s: float) -> None:
        """A worker lost its device there; whoever is still at work while the machine rests may, without consequence."""
        self._losses.setdefault(machine, []).append(now_s)
        before, resting = self._rests.get(machine), self._resting(now_s)
        is_enough = before is not None or len(self._losses[machine]) >= LOSSES
        if machine not in resting and is_enough and len(resting) < max(1, int(SHARE * self._number())):
            self._rests[machine] = Rest.after(before, now_s)

    def nodes(self, now_s: float) -> frozenset[str]:
        """Where no worker may begin now."""
        resting = self._resting(now_s)
        return frozenset(node for node, machine in self._machine_of.items() if machine in resting)

    def whys(self, now_s: float) -> dict[str, str]:
        """Of each machine that rests now, for people."""
        return {machine: _why(machine, left_s) for machine, left_s in self._resting(now_s).items()}

    def _resting(self, now_s: float) -> dict[str, float]:
        """And for how long yet."""
        return {machine: rest.until_s - now_s for machine, rest in self._rests.items() if rest.until_s > now_s}

    def _number(self) -> int:
        return len(set(self._machine_of.values()))


def _why(machine: str, left_s: float) -> str:
    minutes = math.ceil(left_s / 60)
    return f"workers lost a GPU of {machine} again and again; it gets none for another {minutes} min"
