"""Every refusal in one shape, `{"error": {"message", "type", "param", "code"}}`, and which status each error has.

Knows the tree of errors and HTTP; knows nothing of videos. What only an operator may read (addresses, paths, stack
traces, what to do about a full server) goes to the log: an answer with status 500 or above, or for want of memory,
carries a fixed sentence instead of the error's own.
"""

from __future__ import annotations

import logging
import math
from http import HTTPMethod

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from fastflow_ray.errors import (
    FastFlowError,
    IdempotencyConflict,
    InvalidInput,
    MemoryFull,
    QueueFull,
    QueueUnavailable,
    StorageFailed,
    UnknownJob,
)

log = logging.getLogger(__name__)

STATUS: dict[type[FastFlowError], int] = {
    InvalidInput: 400,
    UnknownJob: 404,
    IdempotencyConflict: 422,  # not 409, which the openai client would send again by itself
    QueueFull: 429,
    QueueUnavailable: 503,
    StorageFailed: 503,
    FastFlowError: 500,
}

PUBLIC_SENTENCE = {
    "queue_unavailable": "the queue cannot be reached; try again in a moment",
    "storage": "the store of results cannot be reached; try again in a moment",
}
INTERNAL_SENTENCE = "the server failed; its log says more"


class Refusal(Exception):
    """An answer other than the one asked for, from the HTTP floor itself: not found, too large, no key."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param


def envelope(status: int, code: str, message: str, param: str | None = None) -> JSONResponse:
    """The one shape of every error answer."""
    error = {"message": message, "type": _type_of(status), "param": param, "code": code}
    return JSONResponse({"error": error}, status_code=status)


def install_error_answers(app: FastAPI) -> None:
    """Make every error of the application, expected or not, answer with the envelope."""
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(FastFlowError, _answer_fastflow_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(ClientDisconnect, _answer_who_has_left)
    app.add_exception_handler(Exception, _answer_surprise)


def _type_of(status: int) -> str:
    if status >= 500:
        return "server_error"
    return {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")


def _status_of(error: FastFlowError) -> int:
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def _public_sentence(error: FastFlowError) -> str:
    if isinstance(error, MemoryFull):
        return f"the queue is full; try again in {error.retry_after_s:.0f} s"
    return PUBLIC_SENTENCE.get(error.code, INTERNAL_SENTENCE)


async def _answer_refusal(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return envelope(error.status, error.code, error.message, error.param)


async def _answer_fastflow_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FastFlowError)
    status, message = _status_of(error), str(error)
    if status >= 500 or isinstance(error, MemoryFull):
        log.error("! %s %s: %s", request.method, request.url.path, error)
        message = _public_sentence(error)
    answer = envelope(status, error.code, message)
    if isinstance(error, QueueFull):
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return answer


async def _answer_validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    param = str(first["loc"][-1])
    return envelope(400, InvalidInput.code, f"{param}: {first['msg']}", param)


async def _answer_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, message = {
        404: ("not_found", f"there is nothing at {request.url.path}"),
        405: ("method_not_allowed", f"{request.method} is not possible on {request.url.path}"),
    }.get(error.status_code, ("invalid_input", str(error.detail)))
    answer = envelope(error.status_code, code, message)
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_methods_at(request))
    return answer


def _methods_at(request: Request) -> list[str]:
    """Of all routes with this path; the one that raised the error tells of its own method alone."""
    routes, scope = request.app.routes, request.scope
    return [way for way in HTTPMethod if any(one.matches({**scope, "method": way})[0] is Match.FULL for one in routes)]


async def _answer_who_has_left(_: Request, error: Exception) -> JSONResponse:
    return envelope(400, InvalidInput.code, "the body ends before its end")  # for the metrics; nobody reads it


async def _answer_surprise(_: Request, error: Exception) -> JSONResponse:
    return envelope(500, FastFlowError.code, INTERNAL_SENTENCE)  # the server logs the stack trace itself
