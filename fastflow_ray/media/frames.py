"""What every room of frames agrees on: float32 (frames, height, width, 3) in [0, 1], finite."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from fastflow_ray.counted import counted
from fastflow_ray.errors import InvalidInput, InvalidOutput

Frames = npt.NDArray[np.float32]  # (F, H, W, 3) in [0, 1]


def checked_frames(frames: npt.NDArray[np.floating]) -> Frames:
    """The frames as float32; raises InvalidInput for another shape or type, InvalidOutput for NaN or infinity."""
    if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape or frames.dtype.kind != "f":
        raise InvalidInput(f"frames are floats of shape (F, H, W, 3), not {frames.dtype} of shape {frames.shape}")
    if not np.isfinite(frames).all():
        broken = int((~np.isfinite(frames)).any(axis=(1, 2, 3)).sum())
        where = f"{broken} of {counted(len(frames), 'frame')}"
        raise InvalidOutput(f"there are NaN or infinite values in {where}; such a video is not kept")
    return frames.astype(np.float32, copy=False)


def to_bytes(frames: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """The frames as uint8 in [0, 255], rounded; a decoder's slight overshoot is cut off. Raises as `checked_frames`."""
    whole: Frames = np.rint(np.clip(checked_frames(frames), 0.0, 1.0) * np.float32(255.0))
    return whole.astype(np.uint8)


def frames_sha256(frames: npt.NDArray[np.floating]) -> str:
    """In hex, of the values as little-endian float32 in C order: the same for frames that are equal bit for bit."""
    return hashlib.sha256(np.ascontiguousarray(frames, dtype="<f4").data).hexdigest()


def evenly(frames: npt.NDArray[np.floating], count: int) -> Frames:
    """At most `count` frames, evenly spread from the first to the last; the middle one if `count` is 1.

    Raises as `checked_frames` for all frames, also those not picked.
    """
    places = [len(frames) // 2] if count == 1 else np.linspace(0, len(frames) - 1, min(count, len(frames)))
    picked: Frames = checked_frames(frames)[np.rint(places).astype(int)]
    return picked
