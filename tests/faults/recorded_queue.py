"""A real queue whose users leave a history."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from history import History

from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, Expired, JobQueue, JobRecord

RECORDED = frozenset(
    {"submit", "claim", "heartbeat", "complete", "fail", "release", "cancel", "requeue", "redrive", "forget"}
)


class RecordedQueue:
    """Everything the queue can do; every move of a job is written down as it is asked for and as it is answered."""

    def __init__(self, queue: JobQueue, history: History) -> None:
        self._queue = queue
        self._history = history

    def __getattr__(self, op: str) -> Any:
        method = getattr(self._queue, op)
        return self._recorded(op, method) if op in RECORDED else method

    def _recorded(self, op: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def ask(*arguments: Any, **named: Any) -> Any:
            told = {name: value for argument in (*arguments, *named.values()) for name, value in asked(argument)}
            with self._history.call(op, **told) as answer:
                given = method(*arguments, **named)
                answer.update(answered(given))
            return given

        return ask


def asked(argument: Any) -> list[tuple[str, Any]]:
    """What an argument tells a reader of the history."""
    match argument:
        case Claim() | Expired():
            return [("job", argument.job_id), ("fence", argument.fence)]
        case VideoJob():
            return [("seed", argument.seed), ("tenant", argument.tenant)]
        case {"fence": fence}:  # a result: the manifest
            return [("result_fence", fence)]
        case str():
            return [("word", argument)]
    return []


def answered(answer: Any) -> dict[str, Any]:
    """What an answer tells."""
    match answer:
        case Claim():
            return {"job": answer.job_id, "fence": answer.fence, "attempt": answer.attempt, "crashes": answer.crashes}
        case JobRecord():
            return {"job": answer.job_id, "answer": answer.state}
    return {"answer": answer}
