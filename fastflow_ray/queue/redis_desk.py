"""The operator's side of the queue in Redis. Knows neither S3 nor Ray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.queue.script import load_script
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.submission import check_tenant

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

    def close(self) -> None:
        """Let the connections go; the next call opens them again."""
        self._connection.close()

    def _run(self, script: str, *arguments: str | int | float) -> Any:
        return self._connection.run(load_script(script), self._keys.for_scripts(), *arguments)
