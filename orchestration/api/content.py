"""The bytes of a finished video: from a folder by this server, from S3 by S3 itself under a presigned URL.

Knows the store's contract and the manifest; a client names a job and a variant, never a key or a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.queue.contract import JobRecord
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.manifest import Manifest, StoredFile
from orchestration.api.errors import Refusal, envelope


class Variant(StrEnum):
    """The files a video may have."""

    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


class _File(FileResponse):
    """A file that refuses a range in the shape of every refusal; Starlette's would be plain text, or empty."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Message | None = None

        async def unless_refused(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = message
            if refused is None:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refused is not None:
            sentence = "Range: the file has no such bytes; ask as in bytes=0-1023, or leave it out"
            answer = envelope(refused["status"], InvalidInput.code, sentence, "Range")
            answer.raw_headers += [(name, value) for name, value in refused["headers"] if name == b"content-range"]
            await answer(scope, receive, send)


def content_answer(record: JobRecord, variant: Variant, store: Store) -> Response:
    """The file, in pieces and by ranges, or a redirection to it; raises Refusal 404 when there is none, 500 when the
    record of it is damaged."""
    file = _file_of(record, variant)
    _size_of(file, record, variant, store)
    link = store.link(file.key)
    if not link.startswith("file:"):
        return RedirectResponse(link, status_code=307)
    path = url2pathname(urlsplit(link).path)
    suffix = file.key.rpartition(".")[2]
    return _File(path, media_type=file.content_type, filename=f"{record.job_id}.{suffix}")


def content_head(record: JobRecord, variant: Variant, store: Store) -> Response:
    """What is said of that file, for a presigned URL answers GET alone; raises as `content_answer` does."""
    file = _file_of(record, variant)
    size_bytes = _size_of(file, record, variant, store)
    return Response(headers={"content-length": str(size_bytes)}, media_type=file.content_type)


def _size_of(file: StoredFile, record: JobRecord, variant: Variant, store: Store) -> int:
    """Of the file as it is in the store."""
    if (size_bytes := store.size(file.key)) is None:
        raise Refusal(404, "gone", f"the {variant} of {record.job_id} is no longer in the store", "video_id")
    return size_bytes


def _file_of(record: JobRecord, variant: Variant) -> StoredFile:
    if record.state is not JobState.SUCCEEDED:
        what = "has failed and has no content" if record.state in TERMINAL else "is not ready yet; poll its status"
        raise Refusal(404, "no_content", f"video {record.job_id} {what}", "video_id")
    files = _files(record)
    if variant not in files:
        raise Refusal(
            404, "no_content", f"video {record.job_id} has no {variant}; it has {', '.join(files)}", "variant"
        )
    return files[variant]


def _files(record: JobRecord) -> Mapping[str, StoredFile]:
    try:
        return Manifest.model_validate(record.result).files
    except ValidationError:
        message = f"the result of video {record.job_id} is damaged; its result.json in the store may be whole"
        raise Refusal(500, "damaged", message, "video_id") from None
