"""Thumbnail, sprite sheet and contact sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastflow_ray.errors import InvalidInput, InvalidOutput
from fastflow_ray.media.contact_sheet import BACKGROUND, CLIP_GAP_PX, FRAME_PX, GAP_PX, TITLE_ROW_PX, contact_sheet
from fastflow_ray.media.frames import Frames, evenly, to_bytes
from fastflow_ray.media.spritesheet import write_spritesheet
from fastflow_ray.media.thumbnail import write_thumbnail


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def one_clip_sheet(frames: Frames, path: Path) -> None:
    contact_sheet([("a clip", frames)], path)


def test_frames_are_picked_evenly_with_both_ends() -> None:
    frames = np.arange(17, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float32)
    picked = {count: evenly(frames, count)[:, 0, 0, 0].tolist() for count in (1, 2, 5, 99)}
    assert picked == {1: [8], 2: [0, 16], 5: [0, 4, 8, 12, 16], 99: list(range(17))}


def test_the_thumbnail_is_the_middle_frame(clip: Frames, tmp_path: Path) -> None:
    write_thumbnail(clip, tmp_path / "x.png")
    assert np.array_equal(pixels(tmp_path / "x.png"), to_bytes(clip)[8])


def test_a_spritesheet_holds_the_frames_in_order(clip: Frames, tmp_path: Path) -> None:
    write_spritesheet(clip, tmp_path / "x.png")
    sheet = pixels(tmp_path / "x.png")
    assert sheet.shape == (4 * 48, 4 * 64, 3)
    assert np.array_equal(sheet[:48, :64], to_bytes(clip)[0])
    assert np.array_equal(sheet[-48:, -64:], to_bytes(clip)[-1])


def test_a_spritesheet_of_a_big_short_video_is_small(tmp_path: Path) -> None:
    frames = np.zeros((3, 480, 640, 3), np.float32)
    write_spritesheet(frames, tmp_path / "x.png")
    assert pixels(tmp_path / "x.png").shape == (240, 3 * 320, 3)


@pytest.mark.parametrize(("clips", "columns", "rows"), [(1, 1, 1), (3, 1, 3), (5, 2, 3), (8, 2, 4)])
def test_a_contact_sheet_has_room_for_every_clip(clips: int, columns: int, rows: int, tmp_path: Path) -> None:
    frames = np.full((17, 64, 64, 3), 1.0, np.float32)
    contact_sheet([(f"clip {number}", frames) for number in range(clips)], tmp_path / "x.png")
    strip_px, row_px = 6 * FRAME_PX + 5 * GAP_PX, TITLE_ROW_PX + FRAME_PX
    sheet = pixels(tmp_path / "x.png")
    assert sheet.shape[:2] == (
        CLIP_GAP_PX + rows * (row_px + CLIP_GAP_PX),
        CLIP_GAP_PX + columns * (strip_px + CLIP_GAP_PX),
    )
    white = (sheet == 255).all(axis=2)
    assert white.sum() == clips * 6 * FRAME_PX**2
    assert tuple(sheet[0, 0]) == BACKGROUND


def test_small_frames_grow_by_whole_pixels_and_big_ones_shrink(clip: Frames, tmp_path: Path) -> None:
    one_clip_sheet(clip, tmp_path / "small.png")
    first = pixels(tmp_path / "small.png")[CLIP_GAP_PX + TITLE_ROW_PX :, CLIP_GAP_PX:][:96, :128]
    assert np.array_equal(first, to_bytes(clip)[0].repeat(2, axis=0).repeat(2, axis=1))
    one_clip_sheet(np.zeros((1, 480, 640, 3), np.float32), tmp_path / "big.png")
    assert pixels(tmp_path / "big.png").shape == (2 * CLIP_GAP_PX + TITLE_ROW_PX + 96, 2 * CLIP_GAP_PX + FRAME_PX, 3)


def test_a_title_is_drawn_above_its_clip_and_a_long_one_is_cut(clip: Frames, tmp_path: Path) -> None:
    title_rows = slice(CLIP_GAP_PX, CLIP_GAP_PX + TITLE_ROW_PX)
    for title in ("a red square\nmoving right", "word " * 100, "x" * 2000):
        contact_sheet([(title, clip)], tmp_path / "x.png")
        sheet = pixels(tmp_path / "x.png")
        ink = (sheet != BACKGROUND).any(axis=2)
        assert ink[title_rows].any()
        assert not ink[:CLIP_GAP_PX].any()
        assert not ink[:, -CLIP_GAP_PX:].any()


def test_a_sheet_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one clip"):
        contact_sheet([], tmp_path / "x.png")


@pytest.mark.parametrize("write", [write_thumbnail, write_spritesheet, one_clip_sheet])
def test_a_broken_frame_is_noticed_wherever_it_is(
    write: Callable[[Frames, Path], None], clip: Frames, tmp_path: Path
) -> None:
    clip[1, 0, 0, 0] = np.nan  # a frame that none of the pictures shows
    with pytest.raises(InvalidOutput):
        write(clip, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
