"""From a video in memory to the job's one published result: files encoded, described and handed to the publisher."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fastflow_ray.account import account_of, numbers_of
from fastflow_ray.jobs.payload import digest
from fastflow_ray.media.spritesheet import write_spritesheet
from fastflow_ray.media.thumbnail import write_thumbnail
from fastflow_ray.media.video import write_video
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.queue.contract import Claim
from fastflow_ray.storage.publication import AskedPace, Manifest, Outcome, Publisher
from workers.scratch_folder import room_for_files
from workers.video import Video


def publish_video(
    video: Video, claim: Claim, publisher: Publisher, on_step: OnStep, on_size: Callable[[int], None]
) -> tuple[Manifest, dict[str, float]]:
    """Encode, upload, and win or lose against other attempts: the job's result, and the seconds of every phase.

    `on_step` hears of every frame that is encoded and of every part of a file that is sent or read back, and may end it
    before; it may be called from other threads. `on_size` hears how many bytes the files are before any is sent.
    Raises StorageFailed.
    """
    with room_for_files() as folder:
        on_frame = partial(on_step, StepReport("encode"))
        on_frame()
        began_s = time.perf_counter()
        files = _encode(video, folder, on_frame)
        encoded_s = time.perf_counter()
        on_size(sum(path.stat().st_size for path, _ in files.values()))
        phase_s = video.generation.phase_s | {"encode": encoded_s - began_s}
        on_progress = partial(on_step, StepReport("upload"))
        on_progress()
        manifest = publisher.publish(_describe(video, claim, phase_s), files, on_progress)
        return manifest, phase_s | {"upload": time.perf_counter() - encoded_s}


def _encode(video: Video, folder: Path, on_frame: Callable[[], None]) -> dict[str, tuple[Path, str]]:
    film, thumbnail, spritesheet = folder / "video.mp4", folder / "thumbnail.png", folder / "spritesheet.png"
    write_video(video.generation.frames, film, video.spec.fps, on_frame)
    write_thumbnail(video.generation.frames, thumbnail)
    write_spritesheet(video.generation.frames, spritesheet)
    return {
        "video": (film, "video/mp4"),
        "thumbnail": (thumbnail, "image/png"),
        "spritesheet": (spritesheet, "image/png"),
    }


def _describe(video: Video, claim: Claim, phase_s: dict[str, float]) -> Outcome:
    return Outcome(
        job_id=claim.job_id,
        payload_sha256=digest(claim.payload),
        fence=claim.fence,
        attempt=claim.attempt,
        worker=claim.worker,
        model=video.model,
        revision=video.revision,
        **numbers_of(video.spec),
        pace=AskedPace.of(video.job),
        **account_of(video.generation),
        phase_s=phase_s,
        audit=video.audit,
        versions=dict(video.versions),
        created_s=time.time(),
    )
