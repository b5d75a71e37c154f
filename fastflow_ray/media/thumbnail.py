"""One frame that stands for a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fastflow_ray.media.frames import evenly, to_bytes


def write_thumbnail(frames: npt.NDArray[np.floating], path: Path) -> None:
    """Write the middle one of the frames (F, H, W, 3) as PNG in its own size; raises as `frames.checked_frames`."""
    Image.fromarray(to_bytes(evenly(frames, 1))[0]).save(path, format="PNG")
