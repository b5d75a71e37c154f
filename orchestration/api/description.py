"""What the OpenAPI document says that cannot be read off the routes: the body of a request, refusals, files, events.

Knows the shapes alone; who answers so stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastflow_ray.jobs.video_job import VideoJob
from orchestration.api.create_request import FIELD_NAMES, FORM_TYPES, SIZE

_TEXT = {"type": "string"}
_ERROR = {"message": _TEXT, "type": _TEXT, "param": {"type": ["string", "null"]}, "code": _TEXT}
_REFUSAL = {
    "type": "object",
    "properties": {"error": {"type": "object", "properties": _ERROR, "required": list(_ERROR)}},
    "required": ["error"],
}
Answers = dict[int | str, dict[str, Any]]  # as FastAPI takes them

REFUSALS: Answers = {"default": {"description": "Refused", "content": {"application/json": {"schema": _REFUSAL}}}}
FILES: Answers = {
    200: {"description": "The file", "content": {"video/mp4": {}, "image/png": {}}},
    307: {"description": "Where the file is"},
}
FILE_HEADS: Answers = {200: {"description": "What the file is, and its size in bytes"}}
EVENTS: Answers = {200: {"description": "The video after each change", "content": {"text/event-stream": {}}}}


def create_body() -> dict[str, Any]:
    """What `POST /v1/videos` takes: the same fields as JSON and in a form."""
    body = {"schema": _request_schema()}
    return {"requestBody": {"required": True, "content": dict.fromkeys(("application/json", *FORM_TYPES), body)}}


def _request_schema() -> dict[str, Any]:
    schema = VideoJob.model_json_schema()
    own = _resolved(schema["properties"], schema["$defs"])
    fields = {name: own[ours] for name, ours in FIELD_NAMES.items()}
    fields["size"] = {"type": ["string", "null"], "pattern": SIZE.pattern}
    fields["seconds"] = {"type": ["string", "number", "null"]}
    fields["extra_body"] = {"type": ["object", "string", "null"], "description": "Any of these fields; they win."}
    return {"type": "object", "properties": fields, "required": ["prompt"]}


def _resolved(schema: Any, kinds: Mapping[str, Any]) -> Any:
    """Without references, which hold only in the document they were written for."""
    if isinstance(schema, list):
        return [_resolved(one, kinds) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kind = kinds[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else {}
    return {name: _resolved(value, kinds) for name, value in {**kind, **schema}.items() if name != "$ref"}
