"""Whose job a worker takes next, if it serves several models: rather of the one it holds, but nobody waits for ever.

Changing the model takes the device for as long as reading it takes, so a worker stays with what it holds while there is
work for it. It leaves for the model whose first job has waited longest when that one has waited too long, or when the
worker has made many videos in a row while others waited. A model that cannot be read here is left to other workers for
a while, and for longer each time. Knows queues by their depth alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fastflow_ray.queue.contract import JobQueue

PATIENCE_S = 60.0  # a first job of another model waits no longer if it can be helped
LONGEST_TURN = 20  # videos of one model in a row while others wait
FIRST_REST_S = 30.0  # of a model that could not be read; twice as long after each further attempt
LONGEST_REST_S = 900.0


@dataclass(frozen=True)
class Line:
    """What waits for one model."""

    model: str
    oldest_s: float  # how long its first job has waited; 0: there is none


def order(held: Line, others: Sequence[Line], turn: int) -> list[str]:
    """The models in the order in which to ask for a job; `turn` is how many videos in a row the held one had.

    Those without a waiting job come last, for a delayed one may be due: only a claim finds out.
    """
    waiting = sorted((line for line in others if line.oldest_s > 0), key=lambda line: -line.oldest_s)
    models = [line.model for line in waiting]
    idle = [line.model for line in others if line.oldest_s <= 0]
    if waiting and (waiting[0].oldest_s > max(PATIENCE_S, held.oldest_s) or turn >= LONGEST_TURN):
        return [*models, held.model, *idle]
    return [held.model, *models, *idle]


@dataclass(frozen=True)
class Rest:
    """Why a model's jobs are left to other workers, and until when."""

    why: str
    until_s: float  # by the rota's clock
    failures: int = 1  # to read the model, in a row

    @classmethod
    def after(cls, before: Rest | None, why: str, now_s: float) -> Rest:
        """The one that follows a failure; `before` is the one before it, if the model was not read since."""
        failures = before.failures + 1 if before else 1
        return cls(why, now_s + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(failures - 1, 10)), failures)


class Rota:
    """The queues of one worker, and whose turn it is."""

    def __init__(self, queues: Mapping[str, JobQueue], clock: Callable[[], float] = time.monotonic) -> None:
        """By model; the first one begins."""
        self._queues = dict(queues)
        self._clock = clock
        self._turn = 0
        self._rests: dict[str, Rest] = {}  # the models that could not be read when last tried
        self.held = next(iter(self._queues))  # empty: none
        self.switches = 0

    def awake(self) -> list[JobQueue]:
        """Those whose jobs it takes."""
        return [queue for model, queue in self._queues.items() if not self.resting(model)]

    def resting(self, model: str) -> str:
        """Why the model's jobs are left to others now; empty: they are not."""
        rest = self._rests.get(model)
        return rest.why if rest and self._clock() < rest.until_s else ""

    def queues(self) -> list[JobQueue]:
        """To be asked for a job in this order; raises QueueUnavailable."""
        awake = self.awake()
        if len(awake) == 1:
            return awake
        lines = {queue.name: Line(queue.name, queue.depth().oldest_queued_age_s) for queue in awake}
        held = lines.pop(self.held, Line("", 0.0))
        return [self._queues[model] for model in order(held, list(lines.values()), self._turn) if model]

    def took(self, model: str) -> bool:
        """A job of this model was claimed: whether that means to change the model."""
        is_switch = bool(self.held) and model != self.held
        self._turn = self._turn + 1 if model == self.held else 1
        self.switches += is_switch
        self.held = model
        return is_switch

    def holds(self, model: str) -> None:
        """It stands on the device, and so it could be read; empty: none does."""
        self.held = model
        self._rests.pop(model, None)

    def rest(self, model: str, why: str) -> float:
        """It could not be read: its jobs are left to others for so many seconds, which is the answer."""
        now_s = self._clock()
        self._rests[model] = rest = Rest.after(self._rests.get(model), why, now_s)
        self.held = ""
        return rest.until_s - now_s

    def hopeless(self) -> str:
        """Why no model could be read when last tried; empty: at least one could, or was not tried."""
        if self._rests.keys() < self._queues.keys():
            return ""
        return "; ".join(dict.fromkeys(rest.why for rest in self._rests.values()))
