"""The story of one job. What happens in each chapter stands in the sibling modules: `video`, `publishing`, `ending`."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from fastflow_ray.errors import FastFlowError, IdempotencyConflict, LeaseLost
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.payload import digest
from fastflow_ray.models.engine import Engine, StepReport
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.publication import Manifest, Publisher
from workers.arm_feed import ArmFeed
from workers.checkpoints import Checkpoints, SavedJob
from workers.ending import Ending, Fate, end_early, patiently
from workers.lease_keeper import LeaseKeeper
from workers.meter import Meter
from workers.publishing import publish_video
from workers.video import make_video

log = logging.getLogger(__name__)


class Runner:
    """Runs claimed jobs one after the other on one engine; whatever a job does, the next one can be run."""

    def __init__(
        self,
        queue: JobQueue,
        publisher: Publisher,
        engine: Engine,
        fastflow: FastFlow,
        feed: ArmFeed,
        meter: Meter,
        draining: threading.Event,
        beat_s: float,
        stall_s: float,
    ) -> None:
        """`draining` is set when the worker has to leave: a job that is not nearly done is then given back."""
        self._queue = queue
        self._publisher = publisher
        self._engine = engine
        self._fastflow = fastflow
        self._feed = feed
        self._meter = meter
        self._draining = draining
        self._beat_s = beat_s
        self._stall_s = stall_s
        self._checkpoints = Checkpoints(publisher.store, engine, draining)

    def run(self, claim: Claim) -> Ending:
        """Make the job's video unless an earlier attempt published it, complete it, and report what it taught."""
        log.info("-> %s attempt %d", claim.job_id, claim.attempt)
        self._meter.began(claim.waited_s)
        began_s = time.monotonic()
        if (known := self._feed.fresh()) is not None:
            self._fastflow.adopt(known)
        saved = self._checkpoints.of(claim)
        with LeaseKeeper(self._queue, claim, self._draining, self._beat_s, self._stall_s) as lease:
            try:
                published = self._published(claim)
                ending = self._complete(claim, published) if published else self._make(claim, lease, saved)
            except Exception as error:  # noqa: BLE001  # the one place: no job may end its worker
                saved.flush()
                ending = self._end_early(claim, error)
            saved.settle(ending.fate)
        if saved.is_carried_on:
            self._fastflow.forget_delta()
        self._feed.give(self._fastflow.take_delta())  # a failed job teaches too
        ending = replace(ending, duration_s=time.monotonic() - began_s)
        self._meter.ended(ending)
        _log_ending(claim, ending)
        return ending

    def _published(self, claim: Claim) -> Manifest | None:
        """What an earlier attempt published; never the video of another job that had the same id."""
        manifest = self._publisher.find(claim.job_id)
        if manifest and manifest.payload_sha256 != digest(claim.payload):
            # The queue forgets an idempotency key with its job's record; the store keeps what was made under it.
            raise IdempotencyConflict(
                f"the idempotency key of job {claim.job_id} was used before, for another video that is still in the"
                " store; use a new key for a new video"
            )
        return manifest

    def _make(self, claim: Claim, lease: LeaseKeeper, saved: SavedJob) -> Ending:
        def on_step(report: StepReport) -> None:
            saved.on_step(report)
            lease.on_step(report)

        video = make_video(claim, self._engine, self._fastflow, on_step, saved)
        manifest, phase_s = publish_video(video, claim, self._engine, self._publisher, lease.on_step)
        ending = replace(self._complete(claim, manifest), phase_s=phase_s, evaluations=video.evaluations)
        is_ours = manifest.fence == claim.fence
        return replace(ending, published_bytes=manifest.size_bytes if is_ours else 0)

    def _complete(self, claim: Claim, manifest: Manifest) -> Ending:
        result = manifest.model_dump(mode="json")
        if not patiently(lambda: self._queue.complete(claim, result), claim.lease_s):
            raise LeaseLost(f"job {claim.job_id} was given to another worker, which will find the published result")
        return Ending(Fate.SUCCEEDED)

    def _end_early(self, claim: Claim, error: Exception) -> Ending:
        if not isinstance(error, FastFlowError):
            log.error("! %s attempt %d met a defect of this program", claim.job_id, claim.attempt, exc_info=error)
        return end_early(self._queue, self._publisher, claim, error)


def _log_ending(claim: Claim, ending: Ending) -> None:
    whose = (claim.job_id, claim.attempt)
    if ending.fate is Fate.SUCCEEDED:
        log.info("<- %s attempt %d: done in %.1f s, %s", *whose, ending.duration_s, _work(ending))
    else:
        why = f"{ending.reason}: {ending.message}"
        log.warning("! %s attempt %d: %s after %.1f s, %s", *whose, ending.fate, ending.duration_s, why)


def _work(ending: Ending) -> str:
    if (done := ending.evaluations) is None:
        return "an earlier attempt had published it"
    return f"{done.made} of {done.made + done.skipped} steps evaluated, {done.nfe} of {done.baseline_nfe} network runs"
