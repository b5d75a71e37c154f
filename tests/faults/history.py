"""Histories: what every process asked of the queue and what it was answered, one JSON object a line.

A line is written in one piece as soon as there is something to tell, so a killed process leaves a call without an
answer, and never half a line. The monotonic clock is the machine's, so lines of different processes can be ordered.
Knows no queue.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """One line."""

    at_s: float  # of the monotonic clock
    wall_s: float  # since the epoch
    who: str  # a process, a thread or the test itself
    kind: str  # call, answer, error, or note: something that was done
    op: str
    number: int  # of the call, for its answer
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> str | None:
        """The job it is about."""
        return self.facts.get("job")

    @property
    def fence(self) -> int | None:
        """The attempt it is about."""
        return self.facts.get("fence")


class History:
    """One writer's file; safe to share between threads. A second writer's calls would have the same numbers.

    Raises FileExistsError where `who` writes already.
    """

    def __init__(self, folder: Path, who: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.who = who
        self._file = (folder / f"{who}.jsonl").open("xb", buffering=0)
        self._numbers = itertools.count()

    def note(self, op: str, **facts: Any) -> None:
        """Something was done."""
        self._write("note", op, next(self._numbers), facts)

    @contextmanager
    def call(self, op: str, **facts: Any) -> Iterator[dict[str, Any]]:
        """Around a call; what is put into the dictionary becomes the answer's facts, in addition to the call's."""
        number, answer = next(self._numbers), {}
        self._write("call", op, number, facts)
        try:
            yield answer
        except Exception as error:
            self._write("error", op, number, facts | {"error": type(error).__name__, "message": str(error)})
            raise
        self._write("answer", op, number, facts | answer)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, kind: str, op: str, number: int, facts: dict[str, Any]) -> None:
        event = Event(time.monotonic(), time.time(), self.who, kind, op, number, facts)
        self._file.write(json.dumps(asdict(event)).encode() + b"\n")


def read_histories(folder: Path) -> list[Event]:
    """The events of all writers by time."""
    lines: Iterable[str] = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines())
    return sorted((Event(**json.loads(line)) for line in lines), key=lambda event: event.at_s)
