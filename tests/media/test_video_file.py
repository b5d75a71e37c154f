"""The mp4 is what browsers play, and holds the pixels it was given."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from fastflow_ray.errors import InvalidInput, InvalidOutput, LeaseLost, StorageFailed
from fastflow_ray.media.fidelity import psnr_db
from fastflow_ray.media.frames import Frames
from fastflow_ray.media.video import read_video, write_video


def test_it_is_h264_that_every_browser_plays(clip: Frames, tmp_path: Path) -> None:
    write_video(clip, tmp_path / "x.mp4", fps=8)
    with av.open(str(tmp_path / "x.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)
        assert stream.frames == len(clip)
        assert stream.average_rate == 8
        assert stream.codec_context.colorspace == Colorspace.ITU709
        assert float(stream.duration * stream.time_base) == pytest.approx(17 / 8)


def test_the_index_comes_before_the_pictures(clip: Frames, tmp_path: Path) -> None:
    write_video(clip, tmp_path / "x.mp4", fps=8)
    data = (tmp_path / "x.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_what_is_read_back_is_close(clip: Frames, tmp_path: Path) -> None:
    write_video(clip, tmp_path / "x.mp4", fps=8)
    back = read_video(tmp_path / "x.mp4")
    assert back.shape == clip.shape
    assert back.dtype == np.float32
    assert psnr_db(back, clip) > 32.0


def test_every_frame_is_heard_of_and_may_be_the_last(clip: Frames, tmp_path: Path) -> None:
    heard: list[int] = []
    write_video(clip, tmp_path / "x.mp4", fps=8, on_frame=lambda: heard.append(1))
    assert len(heard) == len(clip)

    def lose() -> None:
        raise LeaseLost("the job was taken")

    with pytest.raises(LeaseLost):
        write_video(clip, tmp_path / "y.mp4", fps=8, on_frame=lose)


def test_a_plain_colour_comes_back_as_it_was(clip: Frames, tmp_path: Path) -> None:
    colours = np.broadcast_to(np.array([0.9, 0.2, 0.1], np.float32), clip.shape)
    write_video(colours, tmp_path / "x.mp4", fps=8)
    assert np.abs(read_video(tmp_path / "x.mp4") - colours).max() < 0.02


def test_frames_keep_their_order(tmp_path: Path) -> None:
    brightness = np.linspace(0.1, 0.9, 33, dtype=np.float32)
    frames = np.broadcast_to(brightness[:, None, None, None], (33, 32, 32, 3))
    write_video(frames, tmp_path / "x.mp4", fps=24)
    assert np.abs(read_video(tmp_path / "x.mp4").mean(axis=(1, 2, 3)) - brightness).max() < 0.02


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    time, down, right = np.mgrid[0:17, 0:64, 0:64].astype(np.float32)
    waves = [np.sin(right / 9 + time / 3), np.cos(down / 7 - time / 5), np.sin((right + down) / 11)]
    frames = np.stack(waves, axis=-1) / 2 + 0.5  # much motion in a small picture, where encoders differ from run to run
    for turn in range(8):
        write_video(frames, tmp_path / f"{turn}.mp4", fps=8)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_single_frame_is_a_video_too(clip: Frames, tmp_path: Path) -> None:
    write_video(clip[:1], tmp_path / "x.mp4", fps=8)
    assert len(read_video(tmp_path / "x.mp4")) == 1


def test_a_slight_overshoot_is_cut_off(clip: Frames, tmp_path: Path) -> None:
    write_video(np.full_like(clip, 1.2), tmp_path / "x.mp4", fps=8)
    assert read_video(tmp_path / "x.mp4").min() > 0.98


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_broken_video_is_never_written(clip: Frames, tmp_path: Path, value: float) -> None:
    clip[3, 5, 7, 1] = value
    with pytest.raises(InvalidOutput, match="NaN or infinite values in 1 of 17 frames;"):
        write_video(clip, tmp_path / "x.mp4", fps=8)
    assert list(tmp_path.iterdir()) == []


def test_odd_sides_and_other_shapes_are_refused(clip: Frames, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="63x48 px cannot be encoded"):
        write_video(clip[:, :, :63], tmp_path / "x.mp4", fps=8)
    for frames in (clip[0], clip[..., :1], clip[:0], clip.astype(np.int32)):
        with pytest.raises(InvalidInput, match=r"floats of shape \(F, H, W, 3\)"):
            write_video(frames, tmp_path / "x.mp4", fps=8)


def test_a_file_that_cannot_be_written_is_named(clip: Frames, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match=r"nowhere/x.mp4: .*No such file"):
        write_video(clip, tmp_path / "nowhere" / "x.mp4", fps=8)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"this is text")
    for path in (tmp_path / "x.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(InvalidInput, match="is not a video that can be read"):
            read_video(path)
