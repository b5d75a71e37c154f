"""Options that several commands share, and what they add up to: a client of the fleet, the fields of a job."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from fastflow_ray.acceleration import FIDELITY_DB, Acceleration, Preset
from fastflow_ray.client import Client, is_http
from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.settings import Settings

_SPEED = "What may be skipped (left out: a speedup of 2.6)"
_FLEET, _VIDEO = "Where the fleet is", "The video (left out: the model's own numbers)"
_PRESETS = ", ".join(f"{preset} {fidelity_db:g} dB" for preset, fidelity_db in FIDELITY_DB.items())
DEFAULT_REDIS = "Default: FASTFLOW_REDIS_URL, or redis://127.0.0.1:6379/0."
DEFAULT_STORE = "Default: FASTFLOW_STORE_URL, or .fastflow-ray/store in this folder."
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help=f"Its queue. {DEFAULT_REDIS}", rich_help_panel=_FLEET),
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help=f"Its results. {DEFAULT_STORE}", rich_help_panel=_FLEET),
]
ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api",
        metavar="URL",
        help="Its HTTP API, instead of queue and store. Default: FASTFLOW_API_URL.",
        rich_help_panel=_FLEET,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only; errors are JSON on standard error.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="As `submit` printed it.")]

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What the video shows.")]
NegativePrompt = Annotated[
    str | None, typer.Option(help="What it must not show; needs guidance above 1.", rich_help_panel=_VIDEO)
]
Model = Annotated[str | None, typer.Option(help="Default: shapes, which runs anywhere.", rich_help_panel=_VIDEO)]
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Width and height in one.", rich_help_panel=_VIDEO)]
Width = Annotated[int | None, typer.Option(help="In px, a multiple of 16.", rich_help_panel=_VIDEO)]
Height = Annotated[int | None, typer.Option(help="In px, a multiple of 16.", rich_help_panel=_VIDEO)]
Frames = Annotated[int | None, typer.Option(help="Of the form 4k+1.", rich_help_panel=_VIDEO)]
Fps = Annotated[int | None, typer.Option(help="Frames per second.", rich_help_panel=_VIDEO)]
Steps = Annotated[int | None, typer.Option(help="Steps of the sigma grid.", rich_help_panel=_VIDEO)]
Guidance = Annotated[float | None, typer.Option(help="Up to 1: no guidance branch.", rich_help_panel=_VIDEO)]
Shift = Annotated[float | None, typer.Option(help="Of the sigma grid.", rich_help_panel=_VIDEO)]
Seed = Annotated[int | None, typer.Option(help="Default: drawn now and recorded.", rich_help_panel=_VIDEO)]
Accelerated = Annotated[
    Acceleration | None,
    typer.Option(
        "--acceleration",
        help="auto: what a learnt plan says. fastflow: as published. off: nothing. Default: auto.",
        rich_help_panel=_SPEED,
    ),
]
Evaluations = Annotated[
    int | None, typer.Option(metavar="N", help="So many steps run the network, 2 or more.", rich_help_panel=_SPEED)
]
Speedup = Annotated[
    float | None, typer.Option(metavar="X", help="So many times fewer than all steps do.", rich_help_panel=_SPEED)
]
FidelityDb = Annotated[
    float | None,
    typer.Option(
        "--fidelity-db", metavar="DB", help="At least this PSNR against the full run, 10 to 80.", rich_help_panel=_SPEED
    ),
]
AsPreset = Annotated[
    Preset | None,
    typer.Option("--preset", help=f"A fidelity by name: {_PRESETS}.", rich_help_panel=_SPEED),
]
Confidence = Annotated[
    float | None,
    typer.Option(metavar="P", help="How surely --fidelity-db is kept. Default: 0.95.", rich_help_panel=_SPEED),
]
Audited = Annotated[
    bool | None,
    typer.Option(
        "--audit/--no-audit",
        help="Run the same seed in full too, always or never, and tell the PSNR between the two.",
        rich_help_panel=_SPEED,
    ),
]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Written whole or not at all.")]


def connect(redis: str | None, store: str | None, api: str | None) -> Client:
    """The client that options and environment describe; an option outdoes every variable."""
    if redis and api:
        raise InvalidInput("--redis and --api are two ways to one fleet; give only one of them")
    if api and not is_http(api):
        raise InvalidInput("--api must begin with http:// or https://; for a Redis URL there is --redis")
    if redis and is_http(redis):
        raise InvalidInput("--redis must begin with redis://, rediss:// or unix://; for an HTTP API there is --api")
    if store and api:
        raise InvalidInput("--store and --api are two ways to a fleet's videos; give only one of them")
    if store and not store.startswith(("file://", "s3://")):
        raise InvalidInput("--store must begin with file:// or s3://")
    settings = Settings.from_environment()
    if address := api or (None if redis else settings.api_url):
        return Client(address, api_key=settings.api_key)
    return Client(redis or settings.redis_url, store or settings.store_url, **settings.limits)


@contextmanager
def refused_by_option(ctx: typer.Context, fields: Container[str] = VideoJob.model_fields) -> Iterator[None]:
    """Let a refusal inside, be it of a job here or by a fleet, name options of the command where it names fields."""
    names = {one.name: one.opts[0] for one in ctx.command.params if one.name in fields and one.opts}
    if ctx.params.get("size") is not None:
        names |= {side: f"--size, {side}" for side in ("width", "height")}
    options = {field: option for field, option in names.items() if option.startswith("--")}
    named = re.compile(rf"(?<!\S)({'|'.join(options)})(?=: | says already | is kept)")
    try:
        yield
    except InvalidInput as refused:
        refused.args = (named.sub(lambda field: options[field[1]], str(refused)),)
        raise


def job_fields(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, under the names of `VideoJob`; raises InvalidInput for an unreadable size."""
    fields = {name: parameters[name] for name in VideoJob.model_fields if parameters.get(name) is not None}
    size = parameters["size"]
    if size is None:
        return fields
    if "width" in fields or "height" in fields:
        raise InvalidInput("--size says both width and height; leave --width and --height out")
    sides = re.fullmatch(r"(\d{1,9})[xX×](\d{1,9})", size)
    if sides is None:
        raise InvalidInput(f"--size {size[:20]!r} is not WIDTHxHEIGHT in pixels, such as 64x64")
    return fields | {"width": int(sides[1]), "height": int(sides[2])}
