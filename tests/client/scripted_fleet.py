"""A fleet whose one worker needs no model: it is told what to do, claim by claim, and publishes real files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from waiting import wait_for

from fastflow_ray.jobs.payload import digest, read_job
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.queue.keys import QueueKeys
from fastflow_ray.storage import open_store
from fastflow_ray.storage.publication import Evaluations, Outcome, Publisher

VIDEO, THUMBNAIL = b"a video of a small red circle" * 1000, b"a thumbnail of it"
DEADLINE_S = 60.0  # far more than is ever needed, for machines that do other things too


@dataclass(frozen=True)
class Fleet:
    """Where things are, and the one worker of the model `shapes`, whose queue is open."""

    redis_url: str
    store_url: str
    folder: Path  # for the worker's own files
    queue: JobQueue

    def claim(self) -> Claim:
        """The next job, which has to come before the deadline."""
        claim = wait_for(lambda: self.queue.claim("worker-0", lease_s=60.0))
        assert claim is not None
        return claim

    def fall_silent(self, claim: Claim, silent_s: float) -> None:
        """The job's last beat, just told, was so long ago."""
        with redis.Redis.from_url(self.redis_url) as server:
            server.zincrby(QueueKeys(self.queue.name).key("running"), -1000 * silent_s, claim.job_id)

    def finish(self, claim: Claim, **told: object) -> None:
        """Publish two files and complete the job with their manifest, as a worker does; `told` changes its fields."""
        files = {}
        for name, suffix, data in (("video", "mp4", VIDEO), ("thumbnail", "png", THUMBNAIL)):
            path = self.folder / f"{claim.job_id}.{suffix}"
            path.write_bytes(data)
            files[name] = (path, "video/mp4" if name == "video" else "image/png")
        manifest = Publisher(open_store(self.store_url)).publish(_outcome(claim, told), files)
        assert self.queue.complete(claim, manifest.model_dump(mode="json"))

    def work(self) -> None:
        """One whole job."""
        self.finish(self.claim())


def _outcome(claim: Claim, told: Mapping[str, object]) -> Outcome:
    job = read_job(claim.payload)
    assert job.seed is not None
    outcome = Outcome(
        job_id=claim.job_id,
        payload_sha256=digest(claim.payload),
        fence=claim.fence,
        attempt=claim.attempt,
        worker=claim.worker,
        model=job.model,
        revision="r1",
        prompt=job.prompt,
        negative_prompt="",
        width=64,
        height=64,
        frames=17,
        fps=8,
        steps=10,
        guidance=3.0,
        shift=3.0,
        seed=job.seed,
        acceleration=job.acceleration,
        evaluations=Evaluations(planned=4, made=4, skipped=6, nfe=8, baseline_nfe=20),
        evaluated_steps=(0, 1, 4, 9),
        phase_s={"sample": 1.5, "decode": 0.25},
        versions={},
        created_s=1.0,
    )
    return Outcome.model_validate(outcome.model_dump() | told)


@dataclass(frozen=True)
class Answer:
    """What a command line did."""

    code: int
    out: str
    err: str
