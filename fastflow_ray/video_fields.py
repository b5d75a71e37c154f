"""What a video's numbers may be, and a model's name: of a job's fields and of a model's card alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

MODEL = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # names a queue too: braces or colons would blur its keys
MODEL_IN_WORDS = "use 1 to 64 small English letters, digits, '.', '_' and '-', a letter or a digit first"


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


Side = Annotated[int, Field(ge=16, le=2048), AfterValidator(_multiple_of_16)]  # px
Frames = Annotated[int, Field(ge=1, le=257), AfterValidator(_of_form_4k_plus_1)]
Fps = Annotated[int, Field(ge=1, le=60)]
Steps = Annotated[int, Field(ge=4, le=200)]
Guidance = Annotated[float, Field(ge=0.0, le=30.0)]  # ≤ 1: no guidance branch
Shift = Annotated[float, Field(ge=0.1, le=30.0)]  # of the sigma grid
