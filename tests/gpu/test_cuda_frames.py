"""On a GPU as on a CPU: attached is plain, a plan is its plain loop and a manifest makes its video again, all bit for
bit. How to run it stands in `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from cuda_shop import PROMPT, CudaShop
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.states import JobState
from fastflow_ray.media.frames import frames_sha256
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.recipe import Recipe
from fastflow_ray.sampling.grid import flow_sigmas
from fastflow_ray.sampling.planned import planned

pytestmark = pytest.mark.gpu
MakeSpec = Callable[..., GenerationSpec]
STEPS, SHIFT, GUIDANCE = 50, 3.0, 3.0
SHAPE = (1, 16, 5, 8, 8)  # batch, channels, latent frames, latent height, latent width


@dataclass
class PlainVelocity:
    """velocity(x, sigma) of the pipeline with its guidance, outside of diffusers' loop."""

    pipe: Any

    @torch.no_grad()
    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        timestep = (sigma * 1000).to(x.device).expand(1)
        cond, uncond = self.pipe.encode_prompt(PROMPT, None, True, max_sequence_length=128, device=x.device)
        with self.pipe.transformer.cache_context("cond"):
            v = self.pipe.transformer(x, timestep, cond, return_dict=False)[0]
        with self.pipe.transformer.cache_context("uncond"):
            v_uncond = self.pipe.transformer(x, timestep, uncond, return_dict=False)[0]
        return v_uncond + GUIDANCE * (v - v_uncond)


def noise(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).cuda()


def latents(pipe: Any, seed: int) -> Tensor:
    """The latents of one pipeline call."""
    asked = {"prompt": PROMPT, "guidance_scale": GUIDANCE, "num_inference_steps": STEPS, "latents": noise(seed)}
    size = {"width": 64, "height": 64, "num_frames": 17, "max_sequence_length": 128}
    made: Tensor = pipe(**asked, **size, output_type="latent").frames
    return made


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_without_skips_the_frames_are_the_pipelines_own(
    cuda_engine: DiffusersEngine, make_spec: MakeSpec, guidance: float
) -> None:
    spec = make_spec(guidance=guidance)
    made = cuda_engine.generate(spec, FastFlow(), lambda report: None)
    pipe = cuda_engine.pipe
    own, pipe.scheduler = pipe.scheduler, FlowMatchEulerDiscreteScheduler(shift=spec.shift)
    try:
        expected = pipe(**cuda_engine.arguments(spec)).frames[0]
    finally:
        pipe.scheduler = own
    assert np.array_equal(made.frames, expected)


def test_a_learned_plan_in_the_pipeline_is_the_plain_loop(cuda_engine: DiffusersEngine) -> None:
    pipe, fastflow = cuda_engine.pipe, FastFlow()
    own, pipe.scheduler = pipe.scheduler, FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    try:
        with fastflow.attach(pipe, key="k", evaluations=19) as attached:
            latents(pipe, seed=1)
            in_pipeline = latents(pipe, seed=2)
    finally:
        pipe.scheduler = own
    trace = attached.trace
    assert trace.plan is not None
    assert trace.skipped == STEPS - 19 - len(trace.added)
    in_loop, _ = planned(PlainVelocity(pipe), noise(2), flow_sigmas(STEPS, SHIFT), trace.plan)
    assert torch.equal(in_pipeline, in_loop)


def test_a_manifest_makes_its_video_again(shop: CudaShop, cuda_engine: DiffusersEngine) -> None:
    ids = [shop.submit(seed=seed, acceleration="auto", evaluations=5, audit=False) for seed in range(3)]
    assert [shop.run(job_id).state for job_id in ids] == [JobState.SUCCEEDED] * 3
    for job_id in ids:
        recipe = Recipe.read(shop.store.get_bytes(f"jobs/{job_id}/result.json"))
        again = cuda_engine.generate(recipe.spec(), FastFlow(), lambda report: None)
        assert frames_sha256(again.frames) == recipe.frames_sha256
