"""The operator's side of the queue in Redis. Knows neither S3 nor Ray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.books import Books
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.event import BEGINNING, KEPT, Event
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.record import whole_number
from fastflow_ray.queue.script import load_script
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.submission import check_reason, check_tenant

NUMBERS = {"weight": float, "max_running": int, "max_queued": int}  # the fields of Share


class RedisDesk:
    """A QueueDesk over the same Redis as the queue of that name."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._keys = QueueKeys(name)

    def shares(self) -> Mapping[str, Share]:
        """All that were set."""
        stored: Any = self._connection.ask(lambda client: client.hgetall(self._keys.key("cfg")))
        found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for field, value in stored.items():
            number, _, tenant = field.partition(":")
            if number in NUMBERS and tenant:
                found[tenant][number] = NUMBERS[number](value)
        return {tenant: Share(**numbers) for tenant, numbers in sorted(found.items())}

    def set_share(self, tenant: str, share: Share) -> None:
        """In force with the next claim."""
        check_tenant(tenant)
        numbers = [getattr(share, number) for number in NUMBERS]
        self._run("set_share", tenant, *("" if number is None else number for number in numbers))

    def pause(self, reason: str) -> None:
        """Claims find nothing from now on."""
        self._run("pause", check_reason(reason))

    def resume(self) -> None:
        """Claims find jobs again, and workers are woken."""
        self._run("pause", "")

    def redrive_all(self) -> int:
        """Some at a time, so that no call stalls the server."""
        return self._in_batches("redrive_all")

    def purge(self) -> int:
        """Some at a time too; what the jobs left in the store is the caller's to delete."""
        return self._in_batches("purge")

    def events(self, after: str | None = None, limit: int = 100) -> Sequence[Event] | None:
        """From the stream; an entry that cannot be read, after an edit by hand, is left out."""
        stream = self._keys.key("ev")
        found: Any
        if after is None:
            found = self._connection.ask(lambda client: client.xrevrange(stream, count=limit))
            return [*filter(None, map(_event, reversed(found)))]
        if after == BEGINNING:
            found = self._connection.ask(lambda client: client.xrange(stream, count=limit))
            is_whole = self._connection.ask(lambda client: client.xlen(stream)) < KEPT  # and was when it was read
            return [*filter(None, map(_event, found))] if is_whole else None
        found = self._connection.ask(lambda client: client.xrange(stream, min=after, count=limit + 1))
        if not found or found[0][0] != after:
            return None
        return [*filter(None, map(_event, found[1:]))]

    def books(self) -> Books:
        """In one script, so that the numbers are of one moment."""
        return Books(*self._run("books"))

    def close(self) -> None:
        """Let the connections go; the next call opens them again."""
        self._connection.close()

    def _in_batches(self, script: str) -> int:
        total = 0
        while True:
            seen, moved = self._run(script)
            total += int(moved)
            if not seen:
                return total

    def _run(self, script: str, *arguments: str | int | float) -> Any:
        return self._connection.run(load_script(script), self._keys.for_scripts(), *arguments)


def _event(entry: tuple[str, dict[str, str]]) -> Event | None:
    event_id, told = entry
    if told.get("state") not in set(JobState):
        return None
    attempt = whole_number(told.get("attempt"))
    job, worker, why = (told.get(name, "") for name in ("job", "worker", "why"))
    return Event(event_id, job, JobState(told["state"]), attempt, worker, why)
