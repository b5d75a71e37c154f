"""The door to Redis: one connection pool, errors in our own words, and patience of a few seconds.

Knows no queue. Passwords never reach a message: people see host and port only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from fastflow_ray.errors import InvalidInput, QueueUnavailable
from fastflow_ray.queue.script import Script

Answer = TypeVar("Answer")

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
# Pauses before a lost connection is tried again, 5 s in all: longer than a restart of the server takes, shorter than
# the grace a reaper grants.
RECONNECT_PAUSES_S = (0.05, 0.2, 0.75, 1.5, 2.5)


SCRIPTS_ERRORS = {"-READONLY": redis.ReadOnlyError, "-OOM": redis.exceptions.OutOfMemoryError}


class Connection:
    """A Redis that may go away for a moment; safe to share between threads."""

    def __init__(
        self,
        url: str,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        reconnect_pauses_s: Sequence[float] = RECONNECT_PAUSES_S,
    ) -> None:
        self._client = _client(url, answer_timeout_s)
        self._answer_timeout_s = answer_timeout_s
        self._reconnect_pauses_s = reconnect_pauses_s
        self._met = False  # a server that never answered is not lost but absent: that is said at once
        where = self._client.connection_pool.connection_kwargs
        self.address = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"

    def run(self, script: Script, keys: list[str], *arguments: str | int | float, repeat: bool = True) -> Any:
        """Run a script by its digest; a server that lost its script cache gets the text again."""

        def by_digest(client: redis.Redis) -> Any:
            try:
                return client.evalsha(script.sha1, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return client.eval(script.source, len(keys), *keys, *arguments)

        return self.ask(by_digest, repeat=repeat)

    def ask(self, question: Callable[[redis.Redis], Answer], repeat: bool = True) -> Answer:
        """Ask, and ask again while the connection is lost; raises QueueUnavailable after the last pause.

        `repeat=False` for what must not run twice when only its answer got lost.
        """
        pauses = self._pauses() if repeat and self._met else iter(())
        while True:
            try:
                answer = question(self._client)
            except redis.RedisError as said:
                error = _meant(said)
                pause_s = next(pauses, None) if _passing(error) else None
                if pause_s is None:
                    raise QueueUnavailable(self._explain(error)) from None
                time.sleep(pause_s)
            else:
                self._met = True
                return answer

    def close(self) -> None:
        """Close the pool; the next question would open it again."""
        self._client.close()

    def _pauses(self) -> Iterator[float]:
        # Jittered, or a thousand workers would knock at the same moment.
        return (pause_s * random.uniform(0.5, 1.0) for pause_s in self._reconnect_pauses_s)

    def _explain(self, error: redis.RedisError) -> str:
        if isinstance(error, redis.TimeoutError):
            return (
                f"Redis at {self.address} did not answer within {self._answer_timeout_s:g} s; "
                "check the network and the address"
            )
        return f"Redis at {self.address} {_remedy(error)}"


def _client(url: str, answer_timeout_s: float) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            url,
            protocol=2,
            decode_responses=True,
            encoding_errors="replace",  # bytes edited by hand must not break a reader
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=answer_timeout_s,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),  # repeating is decided above, script by script
        )
    except ValueError:
        raise InvalidInput("the Redis URL is not valid; use redis://[user:password@]host:port/db") from None


def _meant(error: redis.RedisError) -> redis.RedisError:
    """The error a script met, which Redis 6.2 tells inside a sentence about the script."""
    said = str(error)
    kind = next((kind for code, kind in SCRIPTS_ERRORS.items() if code in said), None)
    return kind(said) if kind and type(error) is redis.ResponseError else error


def _passing(error: redis.RedisError) -> bool:
    """Whether asking again in a moment may help. A timeout has already used up the moment."""
    refused = isinstance(error, (redis.AuthenticationError, redis.exceptions.AuthorizationError))
    return isinstance(error, (redis.ConnectionError, redis.ReadOnlyError)) and not refused


def _remedy(error: redis.RedisError) -> str:
    said = str(error)
    match error:
        case redis.exceptions.BusyLoadingError():
            return "is still loading its data; try again in a moment"
        case redis.AuthenticationError() | redis.exceptions.AuthorizationError():
            return "refuses the password; check user and password in the Redis URL"
        case redis.ConnectionError():
            return "cannot be reached; start a server there, or correct the Redis URL"
        case redis.ReadOnlyError():
            return "is a read-only replica; use the URL of the primary"
        case redis.exceptions.OutOfMemoryError():
            return "is out of memory; raise its maxmemory, or forget ended jobs"
        case redis.exceptions.NoPermissionError():
            return "does not permit what the queue needs; widen the rights (ACL) of the user in the Redis URL"
    if (
        said.startswith(("NOAUTH", "WRONGPASS")) or "unauthenticated" in said
    ):  # the latter by Redis 7.0, of long requests
        return "refuses the password; check user and password in the Redis URL"
    return f"refuses: {said[:200]}"
