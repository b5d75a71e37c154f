"""Keeps what the fleet has learnt about skipping beyond the life of the actor that holds it.

Stores texts under texts; what they say, it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.record import whole_number

# One command, for what a transaction answers differs between redis-py's clients.
READ = "return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}"


class StatisticsStore:
    """A document per policy key, and per worker the last sequence number that is already in them."""

    def __init__(self, redis_url: str, name: str) -> None:
        self._connection = Connection(redis_url)
        keys = QueueKeys(name)
        self._statistics = keys.key("statistics")
        self._sequences = keys.key("sequences")

    def load(self) -> tuple[dict[str, str], dict[str, int]]:
        """Documents and sequences as one consistent picture; raises QueueUnavailable."""

        both: Any = self._connection.ask(lambda client: client.eval(READ, 2, self._statistics, self._sequences))
        documents, sequences = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in both)
        return documents, {worker: whole_number(last) for worker, last in sequences.items()}

    def save(self, documents: Mapping[str, str], worker: str, sequence: int) -> None:
        """Write the changed documents together with the sequence that changed them; raises QueueUnavailable.

        In one transaction: a delta is never merged twice after a crash, nor is its merge lost. Repeating is harmless.
        """

        def write(client: redis.Redis) -> None:
            with client.pipeline(transaction=True) as both:
                for key, document in documents.items():
                    both.hset(self._statistics, key, document)
                both.hset(self._sequences, worker, str(sequence))
                both.execute()

        self._connection.ask(write)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
