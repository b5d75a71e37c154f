"""What a worker tells queue and store, one call at a time, so that a test decides when."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from waiting import wait_for

from fastflow_ray.jobs.payload import digest, read_job
from fastflow_ray.media.thumbnail import write_thumbnail
from fastflow_ray.media.video import write_video
from fastflow_ray.models.catalogue import model_card
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.contract import Store
from fastflow_ray.storage.publication import AskedPace, Audit, Evaluations, Outcome, Publisher


class HandWorker:
    """The frames are noise, the files real."""

    def __init__(self, queue: JobQueue, store: Store, folder: Path) -> None:
        self.queue = queue
        self._publisher = Publisher(store)
        self._folder = folder

    def claim(self) -> Claim:
        claim = wait_for(lambda: self.queue.claim("hand", lease_s=60))
        assert claim is not None
        return claim

    def finish(self, claim: Claim) -> None:
        manifest = self._publisher.publish(_outcome(claim), self._files())
        assert self.queue.complete(claim, manifest.model_dump(mode="json"))

    def work_off_one(self) -> threading.Thread:
        """Claim and finish a job in a thread of its own."""
        thread = threading.Thread(target=lambda: self.finish(self.claim()))
        thread.start()
        return thread

    def _files(self) -> dict[str, tuple[Path, str]]:
        frames = np.random.default_rng(0).random((5, 64, 64, 3), np.float32)
        write_video(frames, self._folder / "video.mp4", fps=8)
        write_thumbnail(frames, self._folder / "thumbnail.png")
        return {
            "video": (self._folder / "video.mp4", "video/mp4"),
            "thumbnail": (self._folder / "thumbnail.png", "image/png"),
        }


def _outcome(claim: Claim) -> Outcome:
    job, card = read_job(claim.payload), model_card("shapes")
    return Outcome(
        job_id=claim.job_id,
        payload_sha256=digest(claim.payload),
        fence=claim.fence,
        attempt=claim.attempt,
        worker=claim.worker,
        model="shapes",
        revision="1",
        prompt=job.prompt,
        negative_prompt="",
        width=card.width,
        height=card.height,
        frames=card.frames,
        fps=card.fps,
        steps=50,
        guidance=card.guidance,
        shift=card.shift,
        seed=job.seed or 0,
        acceleration=job.acceleration,
        evaluations=Evaluations(planned=19, added=1, made=20, skipped=30, nfe=40, baseline_nfe=100),
        evaluated_steps=tuple(range(20)),
        pace=AskedPace.of(job),
        expected_fidelity_db=50.5,
        snapshot="3f2a",
        phase_s={"sample": 1.5},
        audit=Audit(psnr_db=52.5, ssim=0.99, full_nfe=100, full_sample_s=2.5),
        versions={"fastflow_ray": "0.1.0"},
        created_s=1.0,
    )
