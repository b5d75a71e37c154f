"""One video as a stream of server-sent events: its object whenever it has changed, until it has ended.

Looks at the record twice a second instead of listening to the queue's own stream: a reader that comes late, or comes
back, sees the truth at once, and many readers cost no connection each. Knows nothing of what a video is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool

from fastflow_ray.errors import QueueUnavailable, UnknownJob

LOOK_EVERY_S = 0.5
COMMENT_AFTER_LOOKS = 30  # proxies close a connection on which nothing moves
ENDED = ("completed", "failed")


async def changes(look: Callable[[], dict[str, Any]], leaving: asyncio.Event) -> AsyncIterator[str]:
    """Yield an event per change of what `look` answers; ends with the video, or when it, the queue or the server goes.

    A browser reconnects by itself after an end it did not ask for, and is then told with a proper status what is wrong.
    """
    shown, unchanged = None, 0
    while True:
        try:
            view = await run_in_threadpool(look)
        except (UnknownJob, QueueUnavailable):
            return
        unchanged = unchanged + 1 if view == shown else 0
        if unchanged == 0:
            yield f"data: {json.dumps(view)}\n\n"
        elif unchanged % COMMENT_AFTER_LOOKS == 0:
            yield ": still here\n\n"
        if view["status"] in ENDED or await _is_set_within(leaving, LOOK_EVERY_S):
            return
        shown = view


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)
    return event.is_set()
