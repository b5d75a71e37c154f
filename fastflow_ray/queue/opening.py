"""How the other rooms get a queue: by the URL of its Redis and its name."""

from __future__ import annotations

import re
from typing import Any

from fastflow_ray.errors import InvalidInput
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.redis_desk import RedisDesk
from fastflow_ray.queue.redis_queue import RedisQueue

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # of a model; braces or colons would blur the keys


def open_queue(redis_url: str, name: str, **limits: Any) -> JobQueue:
    """The queue of the model `name`; `limits` are fields of QueueLimits. Connects with the first call.

    Raises InvalidInput for a malformed URL or name.
    """
    return RedisQueue(Connection(redis_url), _checked(name), QueueLimits(**limits))


def open_desk(redis_url: str, name: str) -> QueueDesk:
    """The operator's side of that queue; raises InvalidInput likewise."""
    return RedisDesk(Connection(redis_url), _checked(name))


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name[:80]!r} cannot name a queue; use a model's name, such as 'shapes'")
    return name
