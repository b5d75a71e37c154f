"""Whose job a worker takes next, if it serves several models: rather of the one it holds, but nobody waits for ever.

Changing the model takes the device for as long as reading it takes, so a worker stays with what it holds while there is
work for it. It leaves for the model whose first job has waited longest when that one has waited too long, or when the
worker has made many videos in a row while others waited. Knows queues by their depth alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastflow_ray.queue.contract import JobQueue

PATIENCE_S = 60.0  # a first job of another model waits no longer if it can be helped
LONGEST_TURN = 20  # videos of one model in a row while others wait


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


class Rota:
    """The queues of one worker, and whose turn it is."""

    def __init__(self, queues: Mapping[str, JobQueue]) -> None:
        """By model; the first one begins."""
        self._queues = dict(queues)
        self._turn = 0
        self.held = next(iter(self._queues))
        self.switches = 0

    def awake(self) -> list[JobQueue]:
        """Those whose jobs it takes."""
        return [*self._queues.values()]

    def queues(self) -> list[JobQueue]:
        """To be asked for a job in this order; raises QueueUnavailable."""
        if len(self._queues) == 1:
            return [*self._queues.values()]
        lines = {model: Line(model, queue.depth().oldest_queued_age_s) for model, queue in self._queues.items()}
        held = lines.pop(self.held)
        return [self._queues[model] for model in order(held, list(lines.values()), self._turn)]

    def took(self, model: str) -> bool:
        """A job of this model was claimed: whether that means to change the model."""
        is_switch = model != self.held
        self._turn = 1 if is_switch else self._turn + 1
        self.switches += is_switch
        self.held = model
        return is_switch
