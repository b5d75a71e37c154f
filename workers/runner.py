"""The story of one job. What happens in each chapter stands in the sibling modules: `video`, `publishing`, `ending`.

It is told on two threads: the worker's own makes the video, and the publishing thread publishes it, while the
worker's own is with the next job already.

A video teaches once. What its attempt learnt, audit and all, is held back until its manifest stands, and dropped where
it does not: who makes the video again, by the same seed, or goes on from a checkpoint, sees all of it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from fastflow_ray.errors import (
    DeviceLost,
    Draining,
    FastFlowError,
    IdempotencyConflict,
    JobCancelled,
    JobFailed,
    LeaseLost,
    StorageFailed,
    StoreAway,
)
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.payload import digest
from fastflow_ray.models.engine import StepReport
from fastflow_ray.queue.contract import Claim, JobQueue
from fastflow_ray.storage.publication import Manifest, Publisher
from workers.arm_feed import ArmFeed
from workers.checkpoints import Checkpoints, SavedJob
from workers.ending import Ending, Fate, end_early, patiently, tidy
from workers.lease_keeper import LeaseKeeper
from workers.meter import Meter
from workers.publishing import publish_video
from workers.publishing_thread import PublishingExecutor
from workers.stand import Stand
from workers.store_watch import StoreWatch
from workers.timesheet import Timesheet
from workers.video import Video, make_video

log = logging.getLogger(__name__)


@dataclass
class Attempt:
    """One claim, who keeps its lease and its checkpoints, and what it has taught."""

    queue: JobQueue
    claim: Claim
    lease: LeaseKeeper
    saved: SavedJob
    began_s: float = field(default_factory=time.monotonic)
    delivered: bool = False  # a result, to the queue, which may have refused it
    teach: Callable[[bool], None] = lambda stands: None  # report what its video showed, or drop it; once

    @property
    def name(self) -> tuple[str, int]:
        """For the log."""
        return self.claim.job_id, self.claim.attempt

    def on_step(self, report: StepReport) -> None:
        """Save before the lease may say that it ends here."""
        self.saved.on_step(report)
        self.lease.on_step(report)

    def lives(self) -> None:
        """Something moves, though not the job any more."""
        with suppress(LeaseLost, JobCancelled, Draining):
            self.lease.on_step(StepReport("upload"))


class Runner:
    """Runs claimed jobs one after the other on one device; whatever a job does, the next one can be run."""

    def __init__(
        self,
        publisher: Publisher,
        watch: StoreWatch,
        stand: Stand,
        executor: PublishingExecutor,
        fastflow: FastFlow,
        feed: ArmFeed,
        meter: Meter,
        timesheet: Timesheet,
        draining: threading.Event,
        beat_s: float,
        stall_s: float,
        on_end: Callable[[Claim, Ending], None],
        on_beat: Callable[[], None],
    ) -> None:
        """`draining` is set when the worker has to leave: a job that is not nearly done is then given back.

        `on_end` hears of every attempt's end, once, on the thread where it ended; `on_beat` of every heartbeat.
        """
        self._publisher = publisher
        self._watch = watch
        self._stand = stand
        self._executor = executor
        self._fastflow = fastflow
        self._feed = feed
        self._meter = meter
        self._timesheet = timesheet
        self._draining = draining
        self._beat_s = beat_s
        self._stall_s = stall_s
        self._on_end = on_end
        self._on_beat = on_beat
        self._checkpoints = Checkpoints(publisher.store, draining)
        self._publishing: LeaseKeeper | None = None  # of the latest job whose video the executor took

    def run(self, queue: JobQueue, claim: Claim) -> Ending | None:
        """Make the job's video, unless an earlier attempt published it.

        Returns how the attempt ended, or None if the publishing thread has the video and will end it.
        """
        log.info("-> %s attempt %d", claim.job_id, claim.attempt)
        self._meter.began(queue.name, claim.waited_s)
        lease = LeaseKeeper(queue, claim, self._draining, self._beat_s, self._stall_s, on_beat=self._on_beat).start()
        attempt = Attempt(queue, claim, lease, self._checkpoints.of(queue.name, claim))
        ending = self._chapter(attempt, self._plot(claim))
        if ending and ending.fate is not Fate.SUCCEEDED and ending.reason != DeviceLost.code:
            self._stand.free()  # here, where no traceback holds what the job had
        return ending

    def _plot(self, claim: Claim) -> Callable[[Attempt], Ending | None]:
        if claim.look_only:
            return self._look
        return self._make_alone if claim.crashes else self._make

    def _chapter(self, attempt: Attempt, act: Callable[[Attempt], Ending | None]) -> Ending | None:
        """What an attempt does on one thread; its end, unless that comes in a later chapter."""
        try:
            ending = act(attempt)
        except Exception as error:  # noqa: BLE001  # the one place: no job may end its worker
            attempt.saved.flush()
            ending = self._end_early(attempt, error)
        except BaseException:  # the process is about to end
            attempt.lease.stop()
            raise
        if ending is not None:
            try:
                attempt.saved.settle(ending.fate)
            finally:
                attempt.lease.stop()
            attempt.teach(False)  # but for a video that stands, which has taught
            fenced = attempt.delivered and ending.fate is Fate.LOST
            ending = replace(ending, duration_s=time.monotonic() - attempt.began_s, fenced=fenced)
            self._meter.ended(attempt.queue.name, ending)
            _log_ending(attempt, ending)
            self._on_end(attempt.claim, ending)
        return ending

    def _make(self, attempt: Attempt) -> Ending | None:
        if published := self._published(attempt.claim):
            return self._complete(attempt, published)
        engine = self._stand.engine(attempt.queue.name, attempt.on_step)
        with self._timesheet.working(attempt.queue.name):
            video = make_video(attempt.claim, engine, self._informed, attempt.on_step, attempt.saved)
        attempt.teach = self._feed.hold(self._fastflow.take_delta())
        publish = partial(self._publish, video=video)
        attempt.on_step(StepReport("encode"))
        self._executor.enter(partial(self._chapter, attempt, publish), self._waiting(attempt, "encode"))
        self._publishing = attempt.lease
        return None

    def _informed(self) -> FastFlow:
        """Decides from what the fleet knows, and from nothing that a generation showed which came to no video."""
        self._fastflow.forget_delta()
        self._fastflow.adopt(self._feed.known())
        return self._fastflow

    def _make_alone(self, attempt: Attempt) -> Ending | None:
        """A job whose worker died may be what killed it, or may have been beside that: it is nobody's neighbour again,
        so that no job is taken for poison on account of another. What it had published is its result before anything,
        a cancellation too, can end it."""
        if published := self._published(attempt.claim):
            return self._complete(attempt, published)
        self._executor.clear(self._waiting(attempt, "load"))
        ending = self._make(attempt)
        self._executor.clear(waiting=lambda: None)
        return ending

    def _look(self, attempt: Attempt) -> Ending:
        """A job that would have ended, for its workers died: one of them may have published before, or be
        publishing it in this very worker. No model needed."""
        self._executor.clear(waiting=lambda: None)
        if published := self._published(attempt.claim):
            return self._complete(attempt, published)
        raise JobFailed("its workers died, and none of them had published a video", LeaseLost.code)

    def _waiting(self, attempt: Attempt, phase: str) -> Callable[[], None]:
        """Tells that it waits for the publishing thread."""
        ahead = self._publishing or attempt.lease
        return lambda: attempt.lease.on_wait(StepReport(phase), ahead)

    def _publish(self, attempt: Attempt, video: Video) -> Ending:
        manifest, phase_s = publish_video(video, attempt.claim, self._publisher, attempt.on_step, self._watch.expect)
        self._watch.kept()
        is_ours = manifest.fence == attempt.claim.fence
        attempt.teach(is_ours)  # here: whoever completes the job, if this attempt cannot, makes no video
        return replace(
            self._complete(attempt, manifest),
            phase_s=phase_s,
            evaluations=video.evaluations,
            audit=video.audit,
            asked_db=video.spec.pace.fidelity_db if video.spec.pace else None,
            published_bytes=manifest.size_bytes if is_ours else 0,
        )

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

    def _complete(self, attempt: Attempt, manifest: Manifest) -> Ending:
        claim, result = attempt.claim, manifest.model_dump(mode="json")
        attempt.delivered = True
        if not patiently(lambda: attempt.queue.complete(claim, result), claim.lease_s):
            raise LeaseLost(
                f"job {claim.job_id} is this worker's no more; who looks for it will find the published result"
            )
        tidy(self._publisher, manifest, claim)
        return Ending(Fate.SUCCEEDED)

    def _end_early(self, attempt: Attempt, error: Exception) -> Ending:
        if not isinstance(error, FastFlowError):
            log.error("! %s attempt %d met a defect of this program", *attempt.name, exc_info=error)
        if isinstance(error, StorageFailed) and self._watch.is_to_blame(on_progress=attempt.lives):
            error = StoreAway(str(error))
        return end_early(attempt.queue, self._publisher, attempt.claim, error)


def _log_ending(attempt: Attempt, ending: Ending) -> None:
    if ending.fate is Fate.SUCCEEDED:
        log.info("<- %s attempt %d: done in %.1f s, %s", *attempt.name, ending.duration_s, _work(ending))
    else:
        why = f"{ending.reason}: {ending.message}"
        log.warning("! %s attempt %d: %s after %.1f s, %s", *attempt.name, ending.fate, ending.duration_s, why)


def _work(ending: Ending) -> str:
    if (done := ending.evaluations) is None:
        return "an earlier attempt had published it"
    return f"{done.made} of {done.made + done.skipped} steps evaluated, {done.nfe} of {done.baseline_nfe} network runs"
