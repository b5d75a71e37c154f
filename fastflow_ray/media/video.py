"""Frames to H.264 in mp4 and back. The only file that speaks to PyAV."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from fastflow_ray.errors import InvalidInput, StorageFailed
from fastflow_ray.media.frames import Frames, to_bytes

# The same frames shall give the same bytes: x264's output depends on the number of threads, and its macroblock tree
# varies from run to run on small pictures.
X264 = {"crf": "12", "preset": "medium", "threads": "4", "x264-params": "mbtree=0"}
# Index at the front, so that a browser plays while it loads; no date and no version of the muxer in the file.
MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}


def write_video(
    frames: npt.NDArray[np.floating], path: Path, fps: int, on_frame: Callable[[], None] = lambda: None
) -> None:
    """Write float frames (F, H, W, 3) in [0, 1] as mp4: H.264, yuv420p, BT.709, nearly without visible loss.

    `on_frame` hears of every frame that the encoder took, and may raise to end it.
    Raises InvalidOutput on NaN, InvalidInput on odd sides, StorageFailed if the file cannot be written.
    """
    pixels = to_bytes(frames)
    _, height, width, _ = pixels.shape
    if height % 2 or width % 2:
        raise InvalidInput(f"{width}x{height} px cannot be encoded; both sides have to be even")
    try:
        with av.open(str(path), "w", format="mp4", options=MP4) as container:
            _encode(container, pixels, fps, on_frame)
    except (av.FFmpegError, OSError) as error:
        raise StorageFailed(f"cannot write {path}: {error}; is there space in the temporary folder?") from error


def read_video(path: Path) -> Frames:
    """The frames of a video file, float32 (F, H, W, 3) in [0, 1]; raises InvalidInput if there are none."""
    try:
        with av.open(str(path)) as container:
            pixels = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise InvalidInput(f"{path} is not a video that can be read: {error}") from error
    if not pixels:
        raise InvalidInput(f"{path} holds no frames")
    return np.stack(pixels).astype(np.float32) / np.float32(255.0)


def _encode(
    container: av.container.OutputContainer, pixels: npt.NDArray[np.uint8], fps: int, on_frame: Callable[[], None]
) -> None:
    _, height, width, _ = pixels.shape
    stream = container.add_stream("libx264", rate=fps, options=X264)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    codec = stream.codec_context
    codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    for index, picture in enumerate(pixels):
        rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        frame.pts, frame.time_base = index, Fraction(1, fps)
        container.mux(stream.encode(frame))
        on_frame()
    container.mux(stream.encode())
