"""A request for one video, as a value. Everything a user may ask for stands here, with its limits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

PROMPT_LIMIT = 2_000
NO_PROMPT = "the prompt is empty; describe the video in a few words"


class Acceleration(StrEnum):
    """Which network evaluations may be skipped."""

    OFF = "off"  # none: the flow-Euler reference
    FASTFLOW = "fastflow"  # as published: arXiv 2602.11105


def _of_form_4k_plus_1(frames: int) -> int:
    if frames % 4 != 1:
        below = max(1, (frames - 1) // 4 * 4 + 1)
        raise ValueError(f"{frames} frames cannot be decoded; use 4k+1, such as {below} or {below + 4}")
    return frames


def _multiple_of_16(side_px: int) -> int:
    if side_px % 16:
        below = max(16, side_px // 16 * 16)
        raise ValueError(f"{side_px} px is not a multiple of 16; use {below} or {below + 16}")
    return side_px


class VideoJob(BaseModel):
    """One video to make. Fields left at None take the model's own default (`models/catalogue.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)]
    negative_prompt: Annotated[str, Field(max_length=PROMPT_LIMIT)] = ""
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "shapes"
    width: Annotated[int, Field(ge=16, le=2048)] | None = None
    height: Annotated[int, Field(ge=16, le=2048)] | None = None
    frames: Annotated[int, Field(ge=1, le=257)] | None = None  # of the form 4k+1
    fps: Annotated[int, Field(ge=1, le=60)] | None = None
    steps: Annotated[int, Field(ge=4, le=200)] | None = None
    guidance: Annotated[float, Field(ge=0.0, le=30.0)] | None = None  # ≤ 1: no guidance branch
    shift: Annotated[float, Field(ge=0.1, le=30.0)] | None = None  # of the sigma grid
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None  # None: drawn when the job is submitted
    acceleration: Acceleration = Acceleration.FASTFLOW
    audit: bool = False  # also run the same seed in full and report the PSNR of the decoded video
    priority: Annotated[int, Field(ge=0, le=255)] = 100  # higher runs earlier
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "default"
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, prompt: str) -> str:
        if not prompt.strip():
            raise ValueError(NO_PROMPT)
        return prompt

    _frames = field_validator("frames")(lambda v: v if v is None else _of_form_4k_plus_1(v))
    _sides = field_validator("width", "height")(lambda v: v if v is None else _multiple_of_16(v))
