"""Measurements as curves of work and fidelity, and curves held against each other at equal work. Pure; no torch.

Prompts are never pooled: fidelity is a number per prompt, and a setting has their mean, median and worst. A curve is
never drawn beyond what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, quantiles

from fastflow_ray.bench.measurement import Measurement


@dataclass(frozen=True)
class Spread:
    """One quantity over prompts."""

    mean: float
    median: float
    worst: float  # the smallest
    low: float  # first quartile
    high: float  # third quartile

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one value per prompt, at least one."""
        several = values if len(values) > 1 else [*values, *values]
        low, _, high = quantiles(several, n=4, method="inclusive")
        return cls(fmean(values), median(values), min(values), low, high)


@dataclass(frozen=True)
class Point:
    """One setting over all its prompts."""

    setting: str
    prompts: int
    evaluations: float  # mean
    wall_s: float  # median: neighbours on the machine make outliers
    cpu_s: float  # median
    psnr_db: Spread
    ssim: Spread
    latent_psnr_db: Spread
    learning_evaluations: float


@dataclass(frozen=True)
class Curve:
    """One method in one regime, its points by rising work."""

    method: str
    learning: int
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        """The method, with what it learnt from."""
        return f"{self.method} ({self.learning} learnt)" if self.learning else self.method


@dataclass(frozen=True)
class AtWork:
    """A curve at a given work."""

    mean: float
    worst: float


def point(measurements: Sequence[Measurement]) -> Point:
    """The measurements of one setting, one per prompt."""
    return Point(
        setting=measurements[0].setting,
        prompts=len(measurements),
        evaluations=fmean(each.evaluations for each in measurements),
        wall_s=median(each.wall_s for each in measurements),
        cpu_s=median(each.cpu_s for each in measurements),
        psnr_db=Spread.of([each.psnr_db for each in measurements]),
        ssim=Spread.of([each.ssim for each in measurements]),
        latent_psnr_db=Spread.of([each.latent_psnr_db for each in measurements]),
        learning_evaluations=measurements[0].learning_evaluations,
    )


def curve(measurements: Iterable[Measurement]) -> Curve | None:
    """All settings of one method in one regime; None if none of them skipped anything.

    Settings measured on fewer prompts than others are left out: means over other prompts cannot be compared.
    """
    settings: dict[str, list[Measurement]] = {}
    for each in measurements:
        settings.setdefault(each.setting, []).append(each)
    working = [group for group in settings.values() if not all(each.idle for each in group)]
    if not working:
        return None
    most = max(len(group) for group in working)
    points = sorted((point(group) for group in working if len(group) == most), key=lambda each: each.evaluations)
    return Curve(working[0][0].method, working[0][0].learning, tuple(points))


def frontier(points: Iterable[Point]) -> list[Point]:
    """The points that no other outdoes with as little work, by rising work and rising mean."""
    best: list[Point] = []
    for each in sorted(points, key=lambda each: (each.evaluations, -each.psnr_db.mean)):
        if not best or each.psnr_db.mean > best[-1].psnr_db.mean:
            best.append(each)
    return best


def at_work(points: Iterable[Point], evaluations: float, slack: float = 0.02) -> AtWork | None:
    """Mean and worst at this work, on the straight line between the two nearest points of the frontier.

    None outside of what was measured; within, a point that took less work and is better than all that took more stands
    for them. `slack` is how far, relatively, work may differ and still count as equal.
    """
    points = list(points)
    best = frontier(points)
    for each in best:
        if abs(each.evaluations - evaluations) <= slack * evaluations:
            return AtWork(each.psnr_db.mean, each.psnr_db.worst)
    for below, above in pairwise(best):
        if below.evaluations <= evaluations <= above.evaluations:
            share = (evaluations - below.evaluations) / (above.evaluations - below.evaluations)
            return AtWork(
                below.psnr_db.mean + share * (above.psnr_db.mean - below.psnr_db.mean),
                below.psnr_db.worst + share * (above.psnr_db.worst - below.psnr_db.worst),
            )
    if best and best[-1].evaluations <= evaluations <= max(each.evaluations for each in points):
        return AtWork(best[-1].psnr_db.mean, best[-1].psnr_db.worst)
    return None


def lead(ours: Iterable[Point], peers: Iterable[Curve], evaluations: float) -> tuple[float, str] | None:
    """By how many dB of the mean ours leads the best peer at this work, and that peer; None if one is not there."""
    mine = at_work(ours, evaluations)
    theirs = [(other.mean, peer.label) for peer in peers if (other := at_work(peer.points, evaluations))]
    if mine is None or not theirs:
        return None
    best, name = max(theirs)
    return mine.mean - best, name
