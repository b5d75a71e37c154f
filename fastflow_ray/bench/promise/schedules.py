"""Schedules that never change, and the cheapest setting of each that would have kept the fidelity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bench.method import Learnt, Method, NotApplicable, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.bench.subject import Subject
from fastflow_ray.media.fidelity import psnr_db


@dataclass(frozen=True)
class Target:
    """What has to be kept."""

    fidelity_db: float
    confidence: float  # in this share of videos

    def may_fail(self, videos: int) -> int:
        """How many of so many videos may fall below it."""
        return int((1 - self.confidence) * videos + 1e-9)


@dataclass(frozen=True)
class Schedule:
    """One setting of a method on all videos."""

    method: str
    setting: str
    evaluations: float  # of a video, in steps
    psnr_db: Sequence[float]


@dataclass(frozen=True)
class Video:
    """A subject, and the frames of its full run."""

    subject: Subject
    frames: NDArray[np.float32]


def run_in_full(stage: Stage, regime: Regime, subjects: Sequence[Subject]) -> list[Video]:
    """What schedules are held against."""
    with stage.scheduled(stage.flow_euler(regime)):
        return [Video(each, stage.perform(each, regime, regime.steps).frames) for each in subjects]


def cheapest(stage: Stage, regime: Regime, method: Method, target: Target, videos: Sequence[Video]) -> Schedule | None:
    """The first setting, from the boldest on, that keeps the fidelity; None if none does. Bold ones fail after a few.

    Settings that do not apply are passed over. Raises NotApplicable if none does, and for a method that learns.
    """
    if method.learning:
        raise NotApplicable("it learns, and so is no fixed schedule")
    settings = method.settings(regime, [regime.steps / count for count in range(regime.steps - 1, 2, -1)])
    refused: list[str] = []
    for setting in reversed(settings):
        try:
            if schedule := _performed(stage, regime, method, setting, target, videos):
                return schedule
        except NotApplicable as why:
            refused.append(str(why))
    if len(refused) == len(settings):
        raise NotApplicable("; ".join(dict.fromkeys(refused)))
    return None


def _performed(
    stage: Stage, regime: Regime, method: Method, setting: Setting, target: Target, videos: Sequence[Video]
) -> Schedule | None:
    """The setting on all videos, or None as soon as too many fell below the target."""
    kept_db: list[float] = []
    evaluations = 0.0
    for video in videos:
        with method.applied(stage, regime, setting, Learnt()) as steps:
            take = stage.perform(video.subject, regime, steps)
        evaluations += take.evaluations
        kept_db.append(psnr_db(take.frames, video.frames))
        if sum(db < target.fidelity_db for db in kept_db) > target.may_fail(len(videos)):
            return None
    return Schedule(method.name, setting.label, evaluations / len(videos), kept_db)
