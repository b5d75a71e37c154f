"""Two questions that are not the same: is this process alive, and can it accept a video now?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from fastflow_ray.errors import FastFlowError
from fastflow_ray.queue.queues import Queues
from fastflow_ray.storage.contract import Store

ANSWER_S = 4.0  # below the patience of who probes; what has not answered by then counts as away


class Health:
    """For the probes of Kubernetes; needs no key and says no address."""

    def __init__(self, queues: Queues, store: Store) -> None:
        self._parts: dict[str, Callable[[], object]] = {"queue": queues.depths, "store": store.check}
        self._looks: dict[str, asyncio.Task[str]] = {}  # by part, the latest

    def router(self) -> APIRouter:
        """Both probes."""
        router = APIRouter(tags=["health"])
        for path, probe in {"/healthz": self.alive, "/readyz": self.ready}.items():
            router.add_api_route(path, probe, methods=["GET"])
            router.add_api_route(path, probe, methods=["HEAD"], include_in_schema=False)  # as load balancers ask
        return router

    async def alive(self) -> dict[str, str]:
        """The event loop turns."""
        return {"status": "alive"}

    async def ready(self) -> JSONResponse:
        """Redis answers, and the store can be written, read and cleared; status 503 if either cannot."""
        looks = {name: self._look(name) for name in self._parts}
        await asyncio.wait(looks.values(), timeout=ANSWER_S)
        parts = {name: look.done() and not look.result() for name, look in looks.items()}
        return JSONResponse(parts, status_code=200 if all(parts.values()) else 503)

    def troubles(self) -> dict[str, str]:
        """By part what is wrong with it, in an operator's words; empty where it works."""
        return {name: _trouble(attempt) for name, attempt in self._parts.items()}

    def _look(self, name: str) -> asyncio.Task[str]:
        """The one under way, or a new one: probes of a store that never answers would take every thread there is."""
        if name not in self._looks or self._looks[name].done():
            self._looks[name] = asyncio.create_task(run_in_threadpool(_trouble, self._parts[name]))
        return self._looks[name]


def _trouble(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except FastFlowError as error:
        return str(error)
    return ""
