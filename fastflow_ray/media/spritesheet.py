"""A video as one picture: frames side by side, for previews that follow the mouse."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastflow_ray.media.frames import evenly, to_bytes

LONGEST_SIDE_PX = 320  # of one tile


def write_spritesheet(frames: npt.NDArray[np.floating], path: Path, tiles: int = 16, columns: int = 4) -> None:
    """Write up to `tiles` evenly spread frames (F, H, W, 3) as PNG, row by row; raises as `frames.checked_frames`."""
    pictures = [Image.fromarray(picture) for picture in to_bytes(evenly(frames, tiles))]
    for picture in pictures:
        picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
    width, height = pictures[0].size
    columns = min(columns, len(pictures))
    sheet = Image.new("RGB", (columns * width, math.ceil(len(pictures) / columns) * height))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture, (column * width, row * height))
    sheet.save(path, format="PNG")
