"""How close a video is to a reference: PSNR and SSIM of float frames before encoding."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fastflow_ray.errors import InvalidInput
from fastflow_ray.media.frames import Frames, checked_frames

WINDOW = 11  # taps of the Gaussian window
WINDOW_SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2  # of the range, which is 1

Plane = npt.NDArray[np.float64]  # (H, W, 3)


def psnr_db(frames: npt.NDArray[np.floating], reference: npt.NDArray[np.floating]) -> float:
    """Peak signal-to-noise ratio 10·log10(1 / MSE) in dB over all values; infinite if they are equal.

    Both (F, H, W, 3) in [0, 1]; raises InvalidInput if the shapes differ, InvalidOutput on NaN.
    """
    ours, theirs = _pair(frames, reference)
    mse = float(np.mean((ours.astype(np.float64) - theirs) ** 2))
    return math.inf if mse == 0.0 else -10.0 * math.log10(mse)


def ssim(frames: npt.NDArray[np.floating], reference: npt.NDArray[np.floating]) -> float:
    """Mean structural similarity over frames and channels, 1 if they are equal.

    Gaussian window 11×11, σ = 1.5, K1 = 0.01, K2 = 0.03, borders without a whole window left out: Wang, Bovik,
    Sheikh and Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004, on each colour channel.
    Both (F, H, W, 3) in [0, 1], sides of 11 px or more; raises as `psnr_db`.
    """
    ours, theirs = _pair(frames, reference)
    if min(ours.shape[1:3]) < WINDOW:
        raise InvalidInput(f"SSIM needs sides of {WINDOW} px or more, not {ours.shape[2]}x{ours.shape[1]}")
    pairs = zip(ours.astype(np.float64), theirs.astype(np.float64), strict=True)
    return float(np.mean([_ssim_of_a_frame(x, y) for x, y in pairs]))


def _pair(frames: npt.NDArray[np.floating], reference: npt.NDArray[np.floating]) -> tuple[Frames, Frames]:
    if frames.shape != reference.shape:
        raise InvalidInput(f"frames of shape {frames.shape} cannot be compared with a reference of {reference.shape}")
    return checked_frames(frames), checked_frames(reference)


def _ssim_of_a_frame(x: Plane, y: Plane) -> float:
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (var_x + var_y + C2)
    return float(np.mean(luminance * structure))


def _blur(plane: Plane) -> Plane:
    """Weighted mean under the window at every place where it fits whole: (H-10, W-10, 3)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    taps /= taps.sum()
    height, width = plane.shape[0] - WINDOW + 1, plane.shape[1] - WINDOW + 1
    rows: Plane = sum((tap * plane[i : i + height] for i, tap in enumerate(taps)), np.zeros(1))
    return sum((tap * rows[:, i : i + width] for i, tap in enumerate(taps)), np.zeros(1))
