"""A clip to work with: a square that moves over a gradient, with known pixels."""

from __future__ import annotations

import numpy as np
import pytest

from fastflow_ray.media.frames import Frames


@pytest.fixture
def clip() -> Frames:
    """17 frames of 64x48 px (width x height)."""
    down, right = np.mgrid[0:48, 0:64]
    frames = np.zeros((17, 48, 64, 3), np.float32)
    frames[..., 0], frames[..., 1], frames[..., 2] = right / 63, down / 47, 0.3
    for index, frame in enumerate(frames):
        frame[16:32, 2 + 2 * index : 18 + 2 * index] = (0.9, 0.1, 0.1)
    return frames
