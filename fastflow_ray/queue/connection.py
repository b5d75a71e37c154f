"""The door to Redis: one connection pool, errors in our own words, and patience of a few seconds.

Knows no queue. Passwords never reach a message: people see host and port only.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import redis

from fastflow_ray.errors import InvalidInput, QueueUnavailable
from fastflow_ray.queue.clients import door_to
from fastflow_ray.queue.script import Script

Answer = TypeVar("Answer")

FORMS = "redis://[user:password@]host:port/db, rediss://, unix://, redis+sentinel://host:port/service, redis+cluster://"
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
        try:
            self._door = door_to(url, CONNECT_TIMEOUT_S, answer_timeout_s)
        except ValueError:
            raise InvalidInput(f"the Redis URL is not valid; use {FORMS}") from None
        except (TypeError, redis.RedisError):
            raise InvalidInput("the Redis URL is not valid: its options are not those of such a server") from None
        except OSError as unread:
            why = f"which cannot be read ({unread.strerror}); correct its path"
            raise InvalidInput(f"the Redis URL names the file {unread.filename}, {why}") from None
        self._opened: redis.Redis | None = None
        self._answer_timeout_s = answer_timeout_s
        self._reconnect_pauses_s = reconnect_pauses_s
        self._opening = threading.Lock()
        self._met = False  # a server that never answered is not lost but absent: that is said at once
        self.address = self._door.address

    def run(self, script: Script, keys: list[str], *arguments: str | int | float) -> Any:
        """Run a script by its digest; a server that lost its script cache gets the text again."""

        def by_digest(client: redis.Redis) -> Any:
            try:
                return client.evalsha(script.sha1, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return client.eval(script.source, len(keys), *keys, *arguments)

        return self.ask(by_digest)

    def ask(self, question: Callable[[redis.Redis], Answer]) -> Answer:
        """Ask, and ask again while the connection is lost; raises QueueUnavailable after the last pause.

        Where only the answer got lost the question runs twice, which has to be harmless.
        """
        pauses = self._pauses() if self._met else iter(())
        while True:
            try:
                answer = question(self._client())
            except (redis.RedisError, redis.exceptions.RedisClusterException) as said:
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
        for client in (self._opened, *self._door.guides):
            if client is not None:
                client.close()

    def _client(self) -> redis.Redis:
        """A cluster's client asks for its nodes when it is made, so it is made with the first question."""
        with self._opening:
            if self._opened is None:
                self._opened = self._door.open()
            return self._opened

    def _pauses(self) -> Iterator[float]:
        # Jittered, or a thousand workers would knock at the same moment.
        return (pause_s * random.uniform(0.5, 1.0) for pause_s in self._reconnect_pauses_s)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, redis.TimeoutError):
            return (
                f"Redis at {self.address} did not answer within {self._answer_timeout_s:g} s; "
                "check the network and the address"
            )
        return f"Redis at {self.address} {_remedy(error)}"


def _meant(error: Exception) -> Exception:
    """The error a script met, which Redis 6.2 tells inside a sentence about the script."""
    said = str(error)
    kind = next((kind for code, kind in SCRIPTS_ERRORS.items() if code in said), None)
    return kind(said) if kind and type(error) is redis.ResponseError else error


def _passing(error: Exception) -> bool:
    """Whether asking again in a moment may help. A timeout has already used up the moment."""
    refused = isinstance(error, (redis.AuthenticationError, redis.exceptions.AuthorizationError))
    away = (redis.ConnectionError, redis.ReadOnlyError, redis.exceptions.RedisClusterException)
    return isinstance(error, away) and not refused


def _remedy(error: Exception) -> str:
    said = str(error)
    match error:
        case redis.exceptions.BusyLoadingError():
            return "is still loading its data; try again in a moment"
        case redis.exceptions.MovedError() | redis.exceptions.AskError():
            return "is part of a cluster; write redis+cluster:// in the Redis URL"
        case redis.sentinel.MasterNotFoundError():
            return "cannot be reached: no sentinel knows a primary; check the service's name in the Redis URL"
        case redis.AuthenticationError() | redis.exceptions.AuthorizationError():
            return "refuses the password; check user and password in the Redis URL"
        case redis.ConnectionError() | redis.exceptions.RedisClusterException():
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
