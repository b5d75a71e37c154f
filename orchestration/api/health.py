"""Two questions that are not the same: is this process alive, and can it accept a video now?"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from fastflow_ray.errors import FastFlowError
from fastflow_ray.queue.queues import Queues
from fastflow_ray.storage.contract import Store


class Health:
    """For the probes of Kubernetes; needs no key and says no address."""

    def __init__(self, queues: Queues, store: Store) -> None:
        self._queues = queues
        self._store = store

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

    def ready(self) -> JSONResponse:
        """Redis answers, and the store can be written, read and cleared; status 503 if either cannot."""
        troubles = self.troubles()
        parts = {name: not trouble for name, trouble in troubles.items()}
        return JSONResponse(parts, status_code=200 if all(parts.values()) else 503)

    def troubles(self) -> dict[str, str]:
        """By part what is wrong with it, in an operator's words; empty where it works."""
        return {"queue": _trouble(self._queues.depths), "store": _trouble(self._store.check)}


def _trouble(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except FastFlowError as error:
        return str(error)
    return ""
