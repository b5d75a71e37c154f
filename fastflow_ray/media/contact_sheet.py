"""Several clips on one picture: a title and a strip of frames for each."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from fastflow_ray.errors import InvalidInput
from fastflow_ray.media.frames import evenly, to_bytes

FRAMES_PER_CLIP = 6
FRAME_PX = 128  # longest side of a frame on the sheet; small ones grow by whole factors
GAP_PX = 6  # between frames
CLIP_GAP_PX = 36  # between clips
TITLE_PX = 18
TITLE_ROW_PX = 32
BACKGROUND = (36, 38, 43)  # light enough for a black frame to stand out
INK = (226, 228, 232)

Clip = tuple[str, npt.NDArray[np.floating]]  # title, frames (F, H, W, 3) in [0, 1]


def contact_sheet(clips: Sequence[Clip], path: Path) -> None:
    """Write a PNG with six frames of each clip under its title; two columns of clips from four clips on.

    Raises InvalidInput for no clips, and as `frames.checked_frames`.
    """
    if not clips:
        raise InvalidInput("a contact sheet needs at least one clip")
    panels = [_panel(title, frames) for title, frames in clips]
    columns = 2 if len(panels) >= 4 else 1
    across_px = CLIP_GAP_PX + max(panel.width for panel in panels)
    down_px = CLIP_GAP_PX + max(panel.height for panel in panels)
    rows = math.ceil(len(panels) / columns)
    sheet = Image.new("RGB", (columns * across_px + CLIP_GAP_PX, rows * down_px + CLIP_GAP_PX), BACKGROUND)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        sheet.paste(panel, (CLIP_GAP_PX + column * across_px, CLIP_GAP_PX + row * down_px))
    sheet.save(path, format="PNG")


def _panel(title: str, frames: npt.NDArray[np.floating]) -> Image.Image:
    pictures = [_fitted(Image.fromarray(picture)) for picture in to_bytes(evenly(frames, FRAMES_PER_CLIP))]
    width, height = pictures[0].size
    panel = Image.new("RGB", (len(pictures) * (width + GAP_PX) - GAP_PX, TITLE_ROW_PX + height), BACKGROUND)
    font = ImageFont.load_default(TITLE_PX)
    draw = ImageDraw.Draw(panel)
    text = _shortened(title, lambda words: draw.textlength(words, font), panel.width)
    draw.text((0, 0), text, fill=INK, font=font)
    for index, picture in enumerate(pictures):
        panel.paste(picture, (index * (width + GAP_PX), TITLE_ROW_PX))
    return panel


def _fitted(picture: Image.Image) -> Image.Image:
    longest = max(picture.size)
    if longest <= FRAME_PX:
        factor = FRAME_PX // longest
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((FRAME_PX, FRAME_PX), Image.Resampling.LANCZOS)
    return picture


def _shortened(title: str, length_px: Callable[[str], float], limit_px: float) -> str:
    """The title on one line, cut with an ellipsis where it is too long."""
    line = " ".join(title.split())
    if length_px(line) <= limit_px:
        return line
    fitting = bisect_right(range(len(line)), limit_px, key=lambda count: length_px(f"{line[:count]}…"))
    return f"{line[: max(0, fitting - 1)].rstrip()}…"
