"""The routes under `/v1/videos`: create, look at, list, cancel, delete and fetch.

Reading a request, showing a record and fetching a file are told elsewhere; here is what happens, in which order. Plain
functions run in the server's threads, so that Redis and the store never hold up the event loop.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from fastflow_ray.errors import InvalidInput, QueueFull, UnknownJob
from fastflow_ray.jobs.states import TERMINAL
from fastflow_ray.models.admission import relative_work
from fastflow_ray.queue.queues import Found, Queues
from fastflow_ray.storage.checkpoints import CheckpointRoom
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import job_folder
from orchestration.api.content import Variant, content_answer, content_head
from orchestration.api.create_request import CreateRequest, create_request, read_fields
from orchestration.api.description import EVENTS, FILE_HEADS, FILES, create_body
from orchestration.api.errors import Refusal
from orchestration.api.events import changes
from orchestration.api.metrics import ApiMetrics
from orchestration.api.video_view import poll_after_ms, video_view

UNSUPPORTED = ("/edits", "/extensions", "/characters", "/{video_id}/remix")
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class Videos:
    """Jobs as videos, over the queues and the store."""

    def __init__(self, queues: Queues, store: Store, metrics: ApiMetrics, leaving: asyncio.Event) -> None:
        """`leaving` is set when the server is told to stop."""
        self._queues = queues
        self._store = store
        self._metrics = metrics
        self._leaving = leaving

    def router(self) -> APIRouter:
        """All routes; the fixed paths stand before those with an id."""
        router = APIRouter(prefix="/v1/videos", tags=["videos"])
        for path in UNSUPPORTED:
            router.add_api_route(path, unsupported, methods=["POST"], include_in_schema=False)
        router.add_api_route("", self.create, methods=["POST"], openapi_extra=create_body())
        router.add_api_route("", self.list, methods=["GET"])
        router.add_api_route("/{video_id}", self.retrieve, methods=["GET"])
        router.add_api_route("/{video_id}", self.delete, methods=["DELETE"])
        router.add_api_route("/{video_id}/cancel", self.cancel, methods=["POST"])
        file, stream = "/{video_id}/content", "/{video_id}/events"
        router.add_api_route(file, self.content, methods=["GET"], response_class=Response, responses=FILES)
        router.add_api_route(file, self.content_head, methods=["HEAD"], response_class=Response, responses=FILE_HEADS)
        router.add_api_route(stream, self.events, methods=["GET"], response_class=StreamingResponse, responses=EVENTS)
        return router

    async def create(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        """Acknowledge a video: once this answers, the job cannot be lost."""
        asked = create_request(await read_fields(request))
        found = await run_in_threadpool(self._submit, asked, idempotency_key)
        return _answer(found, warnings=list(asked.warnings))

    def retrieve(self, video_id: str) -> JSONResponse:
        """The video as it is now; status 200 in every state, a failed one too."""
        return _answer(self._queues.find(video_id))

    def list(
        self,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> dict[str, Any]:
        """Videos by time of submission."""
        try:
            page = self._queues.page(limit, after, newest_first=order == "desc")
        except UnknownJob as gone:
            sentence = f"after: {gone}; list on after an earlier one, or from the first page"
            raise Refusal(400, InvalidInput.code, sentence, "after") from None
        views = [_view(found) for found in page.jobs]
        first_id, last_id = (views[0]["id"], views[-1]["id"]) if views else (None, None)
        return {"object": "list", "data": views, "first_id": first_id, "last_id": last_id, "has_more": page.has_more}

    def cancel(self, video_id: str) -> JSONResponse:
        """Stop the work and keep the row: at once in the queue, at its next step on a worker."""
        self._queues.find(video_id).queue.cancel(video_id)
        return _answer(self._queues.find(video_id))

    def delete(self, video_id: str) -> dict[str, Any]:
        """Cancel what has not ended; delete the files and the row of what has.

        A video that waits is cancelled and deleted at once. One that a worker has is cancelled at its next step, or
        next part of an upload, and leaves no files; its row stays, and says cancelled, for the time that the queue
        keeps ended jobs. If it was published before its worker heard of it, it is kept, and has to be deleted again.
        Files go first: a row without files can be deleted again, files without a row would never be found.
        """
        queue = self._queues.find(video_id).queue
        if queue.cancel(video_id) in TERMINAL:
            self._store.delete_prefix(job_folder(video_id))
            CheckpointRoom(self._store, queue.name).delete(video_id)
            queue.forget(video_id)
        return {"id": video_id, "object": "video.deleted", "deleted": True}

    def content(self, video_id: str, variant: Variant = Variant.VIDEO) -> Response:
        """The file itself, or where to fetch it."""
        return content_answer(self._queues.find(video_id).record, variant, self._store)

    def content_head(self, video_id: str, variant: Variant = Variant.VIDEO) -> Response:
        """What the file is and how large, without it."""
        return content_head(self._queues.find(video_id).record, variant, self._store)

    def events(self, video_id: str) -> StreamingResponse:
        """The video's object as server-sent events, one per change, until it has ended, or this server leaves."""
        self._queues.find(video_id)  # an unknown id is refused with a status, before the stream begins
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = changes(lambda: _view(self._queues.find(video_id)), self._leaving)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    def _submit(self, asked: CreateRequest, idempotency_key: str | None) -> Found:
        try:
            found = self._queues.submit(asked.job, idempotency_key, relative_work(asked.job))
        except QueueFull:
            self._metrics.submitted.labels(asked.job.model, "full").inc()
            raise
        self._metrics.submitted.labels(asked.job.model, "accepted").inc()
        return found


def unsupported() -> None:
    """Raises Refusal 404, which clients do not send again, for what only some of the field's servers can do."""
    raise Refusal(404, "not_supported", "this server makes videos from text only; use POST /v1/videos")


def _view(found: Found) -> dict[str, Any]:
    return video_view(found.record, model=found.queue.name)


def _answer(found: Found, **extra: Any) -> JSONResponse:
    wait_ms = poll_after_ms(found.record, time.time())
    headers = {} if wait_ms is None else {"openai-poll-after-ms": str(wait_ms)}
    return JSONResponse(_view(found) | extra, headers=headers)
