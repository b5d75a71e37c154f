"""The application: who may ask, what may be asked, and one shape for every refusal. Knows no server and no Ray."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

import fastflow_ray
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.queue.queues import Queues
from fastflow_ray.queue.statistics_store import StatisticsStore
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store
from orchestration.api.access import BearerKey
from orchestration.api.description import REFUSALS
from orchestration.api.errors import install_error_answers
from orchestration.api.fleet_view import FleetView
from orchestration.api.health import Health
from orchestration.api.metrics import ApiMetrics, CountedRequests
from orchestration.api.videos import Videos

log = logging.getLogger(__name__)

LEAVE_S = 5.0  # for a question to Redis and the store that is still unanswered when the server stops


class _Closable(Protocol):
    def close(self) -> None: ...


def open_app(redis_url: str, store_url: str, api_key: str | None = None, **limits: Any) -> FastAPI:
    """The application over a fleet's Redis and store, one queue per model of the catalogue; `limits` are fields of
    QueueLimits.

    Opens without asking either: a server that starts before its Redis says so in its log and at /readyz. Raises
    InvalidInput for a URL that is none.
    """
    queues = {model: open_queue(redis_url, model, **limits) for model in catalogue()}
    statistics = {model: StatisticsStore(redis_url, model) for model in catalogue()}
    return create_app(queues, statistics, open_store(store_url), api_key)


def create_app(
    queues: Mapping[str, JobQueue],
    statistics: Mapping[str, StatisticsStore],
    store: Store,
    api_key: str | None = None,
) -> FastAPI:
    """The application over each model's queue and statistics and one store; with a key, `/v1` demands it.

    When its server stops, it lets the connections of all of them go. One that is told to stop sets `state.leaving`:
    streams do not end by themselves.
    """
    known, metrics, leaving = Queues(queues), ApiMetrics(), asyncio.Event()
    health = Health(known, store)
    app = FastAPI(
        title="fastflow-ray",
        version=fastflow_ray.__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(health, known, *statistics.values(), store),
    )
    app.state.leaving = leaving
    guarded = [Depends(BearerKey(api_key))]
    app.include_router(Videos(known, store, metrics, leaving).router(), dependencies=guarded, responses=REFUSALS)
    app.include_router(FleetView(known, statistics).router(), dependencies=guarded, responses=REFUSALS)
    app.include_router(health.router())
    app.add_api_route("/metrics", metrics.exposition, methods=["GET"], include_in_schema=False)
    app.add_middleware(CountedRequests, metrics=metrics)
    install_error_answers(app)
    return app


def _lifespan(health: Health, *opened: _Closable) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What an application does as it begins, which is to say what it misses, and after its last request."""

    async def tell_troubles() -> None:
        for trouble in filter(None, (await run_in_threadpool(health.troubles)).values()):
            log.warning("! %s", trouble)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        telling = asyncio.create_task(tell_troubles())  # nobody waits for a store that does not answer
        yield
        await asyncio.wait({telling}, timeout=LEAVE_S)
        for one in opened:
            one.close()

    return lifespan
