"""What a client asks for when it creates a video: the field's names for our numbers, read from JSON or a form.

Knows the shapes a request may have; the limits of every number stand in `VideoJob` alone. A field that no model here
understands is not refused but named in `warnings`: a setting that silently does nothing misleads.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message, Receive

from fastflow_ray.counted import counted
from fastflow_ray.errors import BeyondModel, InvalidInput, UnknownModel
from fastflow_ray.jobs.parsing import explain
from fastflow_ray.jobs.video_job import ONE_OF, VideoJob
from fastflow_ray.models.admission import admit
from fastflow_ray.models.catalogue import model_card, no_such_model
from orchestration.api.errors import Refusal

MAX_BODY_BYTES = 4 * 2**20
URL_FORM = "application/x-www-form-urlencoded"  # which curl -d says of whatever it sends
FORM_TYPES = ("multipart/form-data", URL_FORM)
JSON_AS_FORM = "this is JSON sent as a form; add the header content-type: application/json"
SIZE = re.compile(r"^(\d{1,5})[xX×](\d{1,5})$")
NESTED_NAME = re.compile(r"^(\w+)\[(\w+)\]$")  # how forms write {"extra_body": {"seed": 1}}
FIELD_NAMES = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "num_frames": "frames",
    "flow_shift": "shift",
} | {name: name for name in VideoJob.model_fields}
NO_IMAGES = "input_reference: no model here starts from an image or a video; leave it out"


@dataclass(frozen=True)
class CreateRequest:
    """A valid job, and what of the request did not go into it as written."""

    job: VideoJob
    warnings: tuple[str, ...]


@dataclass
class _Settings:
    """Values under our names, remembering under which name the client sent each."""

    values: dict[str, Any] = field(default_factory=dict)
    sent_as: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, sent_as: str) -> None:
        if name in self.values and str(self.values[name]) != str(value):
            raise _invalid(sent_as, f"it contradicts {self.sent_as[name]}; send one of the two")
        self.values[name] = value
        self.sent_as[name] = sent_as


async def read_fields(request: Request) -> dict[str, Any]:
    """The fields of a JSON object or a form, nested names unfolded; raises Refusal 400, 413 or 415."""
    limited = Request(request.scope, _limited(request.receive))
    media_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if media_type in FORM_TYPES:
        async with limited.form(max_files=4, max_fields=200) as form:
            fields = _unfolded(form.multi_items())
        if media_type == URL_FORM and next(iter(fields), "").lstrip().startswith("{"):
            raise Refusal(415, InvalidInput.code, JSON_AS_FORM)
        return fields
    if media_type != "application/json":
        raise Refusal(415, InvalidInput.code, "send application/json or multipart/form-data")
    try:
        fields = await limited.json()
    except (ValueError, RecursionError):
        raise Refusal(400, InvalidInput.code, "the body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise Refusal(400, InvalidInput.code, "the body is not a JSON object")
    return fields


def create_request(fields: Mapping[str, Any]) -> CreateRequest:
    """The job that the fields ask for; raises Refusal 400 whose `param` is the name the client used."""
    fields = _flattened(fields)
    settings, warnings = _Settings(), []
    for name, value in fields.items():
        if name in FIELD_NAMES:
            settings.put(FIELD_NAMES[name], value, sent_as=name)
        elif name not in ("size", "seconds"):
            warnings.append(f"unknown field {name[:64]!a} is ignored")
    if "size" in fields:
        width, height = _sides_px(fields["size"])
        settings.put("width", width, sent_as="size")
        settings.put("height", height, sent_as="size")
    job = _validated(settings)
    if "seconds" in fields:
        job, rounding = _with_duration(job, settings, fields["seconds"])
        warnings += rounding
    return CreateRequest(job, tuple(warnings))


def frames_of(duration_s: float, fps: int) -> int:
    """Frames of the form 4k+1 whose first and last are as near to `duration_s` apart as can be."""
    return 4 * round(duration_s * fps / 4) + 1


def _limited(receive: Receive) -> Receive:
    """The same messages, until the body grows too large."""
    received_bytes = 0

    async def receive_some() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > MAX_BODY_BYTES:
            raise Refusal(413, InvalidInput.code, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return message

    return receive_some


def _unfolded(items: list[tuple[str, UploadFile | str]]) -> dict[str, Any]:
    """Nested names within the outer one; beside a text under that name they stay as they are, and nobody knows them."""
    fields: dict[str, Any] = {name: value for name, value in items if not NESTED_NAME.match(name)}
    for name, value in items:
        if nested := NESTED_NAME.match(name):
            outer = fields.setdefault(nested[1], {})
            into, key = (outer, nested[2]) if isinstance(outer, dict) else (fields, name)
            into[key] = value
    return fields


def _flattened(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`extra_body` lifted to the top, where it wins; what is null counts as left out."""
    extra = fields.get("extra_body") or {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except (ValueError, RecursionError):
            raise _invalid("extra_body", "it is not valid JSON") from None
    if not isinstance(extra, dict):
        raise _invalid("extra_body", "it is not an object")
    lifted = {name: value for name, value in fields.items() if name != "extra_body"} | extra
    merged = {name: value for name, value in lifted.items() if value is not None}
    if merged.pop("input_reference", None):
        raise Refusal(400, InvalidInput.code, NO_IMAGES, "input_reference")
    return merged


def _sides_px(size: Any) -> tuple[int, int]:
    sides = SIZE.match(str(size))
    if sides is None:
        raise _invalid("size", "write it as WIDTHxHEIGHT in pixels, such as 832x480")
    return int(sides[1]), int(sides[2])


def _with_duration(job: VideoJob, settings: _Settings, seconds: Any) -> tuple[VideoJob, list[str]]:
    if job.frames is not None:
        return job, [f"seconds is ignored, for {settings.sent_as['frames']} says how long the video is"]
    duration_s, fps = _duration_s(seconds), job.fps or model_card(job.model).fps
    frames = frames_of(duration_s, fps)
    settings.put("frames", frames, sent_as="seconds")
    try:
        job = _validated(settings)
    except Refusal as refusal:  # a bare "at most 257" would not be understood of seconds
        limit = refusal.message.removeprefix("seconds: ")
        raise _invalid("seconds", f"{duration_s:g} s at {fps} fps are {counted(frames, 'frame')}, {limit}") from None
    made_s = (frames - 1) / fps
    rounding = f"seconds was rounded to {made_s:g}: {counted(frames, 'frame')} at {fps} fps, for models make 4k+1"
    return job, [] if math.isclose(made_s, duration_s) else [rounding]


def _duration_s(seconds: Any) -> float:
    try:
        duration_s = float(seconds)
    except (TypeError, ValueError):
        duration_s = 0.0
    if not 0.0 < duration_s <= 3600.0:
        raise _invalid("seconds", "write a positive number of seconds, such as 4")
    return duration_s


def _validated(settings: _Settings) -> VideoJob:
    try:
        job = VideoJob.model_validate(settings.values)
        admit(job)
    except UnknownModel as error:
        raise Refusal(400, error.code, no_such_model(job.model), "model") from None
    except BeyondModel as error:
        raise _invalid(settings.sent_as[error.field], error.complaint) from None
    except InvalidInput as error:
        raise Refusal(400, error.code, str(error), _name_of_the_pace(settings)) from None
    except ValidationError as error:
        complaint = _in_the_words_of_the_client(error, settings.sent_as)
        raise Refusal(400, InvalidInput.code, explain(complaint), str(complaint.errors()[0]["loc"][0])) from None
    return job


def _name_of_the_pace(settings: _Settings) -> str | None:
    return next((settings.sent_as[name] for name in ONE_OF if name in settings.values), None)


def _in_the_words_of_the_client(error: ValidationError, sent_as: Mapping[str, str]) -> ValidationError:
    renamed = [
        InitErrorDetails(
            type=one["type"],
            loc=(sent_as.get(str(one["loc"][0]), str(one["loc"][0])),),
            input=None,
            ctx=one.get("ctx", {}),
        )
        for one in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, renamed)


def _invalid(param: str, sentence: str) -> Refusal:
    return Refusal(400, InvalidInput.code, f"{param}: {sentence}", param)
