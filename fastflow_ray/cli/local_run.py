"""What `generate` and `replay` share: a video made in this process. Torch is imported only when it is needed."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fastflow_ray.atomic_file import replacing

if TYPE_CHECKING:
    from fastflow_ray.models.engine import Engine, Generation


def loaded(model: str, screen: Console) -> Engine:
    """The engine of a model, and a word about it on the screen meanwhile. Raises UnknownModel, ModelLoadFailed."""
    from fastflow_ray.models.loading import load_engine

    with screen.status(f"loading {model}"):
        return load_engine(model)


def save_video(made: Generation, fps: int, output: Path) -> None:
    """Write the mp4, whole or not at all; raises StorageFailed."""
    from fastflow_ray.media.video import write_video

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        write_video(made.frames, video, fps)
        with replacing(output) as sibling:
            shutil.copyfile(video, sibling)


@contextmanager
def told_if_interrupted() -> Iterator[None]:
    """Say on standard error what a Ctrl-C inside leaves."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; nothing goes on, and no half video is left", file=sys.stderr)
        raise


@contextmanager
def timed(phase_s: dict[str, float], phase: str) -> Iterator[None]:
    """Note the seconds spent inside."""
    started_s = time.perf_counter()
    yield
    phase_s[phase] = time.perf_counter() - started_s
