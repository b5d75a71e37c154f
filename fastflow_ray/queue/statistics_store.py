"""Keeps what the fleet has learnt about skipping beyond the life of the actor that holds it.

Stores texts under texts; what they say, it does not know. Several may write, as while one fleet replaces another, or
when an actor that was given up still lives: each save names the revision it was made from, and one made from a revision
that is no more the latest is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.keys import STATISTICS_KEYS, QueueKeys
from fastflow_ray.queue.record import whole_number
from fastflow_ray.queue.script import load_statistics_script


@dataclass(frozen=True)
class Kept:
    """What is in the store at one moment."""

    documents: Mapping[str, str]  # by policy key
    sequences: Mapping[str, int]  # by worker, the last of its reports that is in the documents
    revision: str  # of all of it; "0": nobody has written since there are revisions


class StatisticsStore:
    """A document per policy key, and per worker the last sequence number that is already in them."""

    def __init__(self, redis_url: str, name: str) -> None:
        self._connection = Connection(redis_url)
        self._keys = [QueueKeys(name).key(suffix) for suffix in STATISTICS_KEYS]

    def load(self) -> Kept:
        """Everything as one consistent picture; raises QueueUnavailable."""
        kept = self.load_unless("")
        assert kept is not None  # no revision is empty
        return kept

    def load_unless(self, revision: str) -> Kept | None:
        """The same; None if it is all of `revision` still."""
        # One script, for what a transaction answers differs between redis-py's clients.
        answer = self._run("load", revision)
        if answer is None:
            return None
        *both, latest = answer
        documents, sequences = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in both)
        return Kept(documents, {worker: whole_number(last) for worker, last in sequences.items()}, latest)

    def save(self, documents: Mapping[str, str], worker: str, sequence: int, revision: str) -> str | None:
        """Write the changed documents together with the sequence that changed them, all or nothing.

        Answers the new revision, or None if `revision` is not the latest: somebody else wrote, so load again. Raises
        QueueUnavailable; whether it was written is then unknown, and the next save from the old revision tells.
        """
        changed = [text for pair in documents.items() for text in pair]
        answer: str | None = self._run("save", revision, worker, sequence, *changed)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _run(self, script: str, *arguments: str | int) -> Any:
        return self._connection.run(load_statistics_script(script), self._keys, *arguments)
