"""PSNR and SSIM against values known from their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from fastflow_ray.errors import InvalidInput, InvalidOutput
from fastflow_ray.media.fidelity import C1, C2, psnr_db, ssim
from fastflow_ray.media.frames import Frames

Measure = Callable[[Frames, Frames], float]


def test_psnr_of_a_known_error(clip: Frames) -> None:
    assert psnr_db(clip * 0 + 0.6, clip * 0 + 0.5) == pytest.approx(20.0, abs=1e-4)
    assert psnr_db(np.ones_like(clip), np.zeros_like(clip)) == pytest.approx(0.0, abs=1e-9)


def test_equal_videos_are_infinitely_alike(clip: Frames) -> None:
    assert psnr_db(clip, clip.copy()) == math.inf
    assert ssim(clip, clip.copy()) == pytest.approx(1.0, abs=1e-12)


def test_ssim_of_plain_frames_is_their_luminance_term(clip: Frames) -> None:
    x, y = 0.25, 0.75
    expected = (2 * x * y + C1) / (x * x + y * y + C1)
    assert ssim(np.full_like(clip, x), np.full_like(clip, y)) == pytest.approx(expected, abs=1e-6)


def test_ssim_in_one_window_is_the_definition() -> None:
    """On an 11x11 frame there is one window per channel: compare with the sums written out."""
    rng = np.random.default_rng(5)
    x, y = rng.random((2, 11, 11, 3))
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))[..., None]
    weights /= weights.sum(axis=(0, 1))
    mean_x, mean_y = (weights * x).sum((0, 1)), (weights * y).sum((0, 1))
    var_x, var_y = (weights * (x - mean_x) ** 2).sum((0, 1)), (weights * (y - mean_y) ** 2).sum((0, 1))
    cov = (weights * (x - mean_x) * (y - mean_y)).sum((0, 1))
    expected = (2 * mean_x * mean_y + C1) * (2 * cov + C2) / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    assert ssim(x[None], y[None]) == pytest.approx(float(expected.mean()), abs=1e-6)


def test_more_noise_is_less_alike(clip: Frames) -> None:
    noise = np.random.default_rng(7).normal(size=clip.shape).astype(np.float32)
    noisy = [clip + sigma * noise for sigma in (0.01, 0.03, 0.1)]
    for measure in (psnr_db, ssim):
        values = [measure(frames, clip) for frames in noisy]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("measure", [psnr_db, ssim])
def test_other_shapes_and_nan_are_refused(clip: Frames, measure: Measure) -> None:
    with pytest.raises(
        InvalidInput, match=r"\(17, 48, 64, 3\) cannot be compared with a reference of \(16, 48, 64, 3\)"
    ):
        measure(clip, clip[1:])
    broken = clip.copy()
    broken[0, 0, 0, 0] = np.nan
    for pair in ((broken, clip), (clip, broken)):
        with pytest.raises(InvalidOutput):
            measure(*pair)


def test_ssim_needs_room_for_its_window(clip: Frames) -> None:
    with pytest.raises(InvalidInput, match="11 px or more, not 64x10"):
        ssim(clip[:, :10], clip[:, :10])
