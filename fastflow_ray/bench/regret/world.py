"""Where a fleet learns: prompts, noise, and held-out videos by which plans are judged. Knows no fleet."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from fastflow_ray.bench.regret.mixture_flow import GuidedMixture
from fastflow_ray.sampling.euler import euler
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.velocity import Velocity

CLASSES, BLOBS, DIM = 8, 3, 256
GUIDANCE, SHIFT = 3.0, 5.0
HELD_OUT = 64  # videos
FIRST_HELD_OUT = 1_000_000  # their numbers; those of jobs are below


class World:
    """One mixture, whose classes are the prompts."""

    def __init__(self, steps: int, seed: int) -> None:
        """A grid of `steps`; another `seed` has other blobs, and other videos."""
        self.sigmas = flow_sigmas(steps, SHIFT)
        self._mixture = GuidedMixture(CLASSES, BLOBS, DIM, GUIDANCE, seed)
        self._seed = seed
        self._judged: dict[str, float] = {}

    def network(self, videos: range) -> Velocity:
        """What makes these videos, as one batch; their prompts are the classes in turn."""
        return self._mixture.flow(torch.tensor([video % CLASSES for video in videos]))

    def noise(self, videos: range) -> Tensor:
        """They begin from, shape (videos, DIM)."""
        seeds = [self._seed * 10 * FIRST_HELD_OUT + video for video in videos]
        return torch.stack([torch.randn(DIM, generator=torch.Generator().manual_seed(seed)) for seed in seeds])

    def fidelity_db(self, plan: Plan) -> float:
        """What walking a plan keeps of the full run, in dB, the mean over held-out videos; infinite for a full run."""
        if not plan.predict:
            return math.inf
        name = repr(plan)
        if name not in self._judged:
            self._judged[name] = self._mean_db(plan)
        return self._judged[name]

    @property
    def best_db(self) -> float:
        """Of all plans judged so far."""
        return max(self._judged.values())

    def _mean_db(self, plan: Plan) -> float:
        network, noise, references = self._held_out
        made, _ = planned(network, noise, self.sigmas, plan)
        kept = [sample_psnr_db(one, full) for one, full in zip(made, references, strict=True)]
        return sum(kept) / len(kept)

    @cached_property
    def _held_out(self) -> tuple[Velocity, Tensor, Tensor]:
        """Their network, noise and full runs."""
        videos = range(FIRST_HELD_OUT, FIRST_HELD_OUT + HELD_OUT)
        network, noise = self.network(videos), self.noise(videos)
        return network, noise, euler(network, noise, self.sigmas)
