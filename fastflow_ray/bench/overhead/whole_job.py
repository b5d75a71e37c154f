"""A whole job of Wan 2.1 1.3B by the clock: its real architecture, random weights, diffusers' own pipeline.

What random weights make is no video, but every multiplication of one is done; so this tells what a job takes on a
device, stock and attached, at a size where everything beside the network should vanish. It takes minutes on a GPU
and would take days on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel

from fastflow_ray.bench.overhead.clock import clock_of
from fastflow_ray.bench.overhead.wan import LATENTS, WanShape
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.sampling.trace import Trace

GUIDANCE, SHIFT = 5.0, 3.0
STRIDE_PX, STRIDE_FRAMES = 8, 4  # of Wan's autoencoder
TEXT_DIM = 4096


@dataclass(frozen=True)
class WholeJob:
    """Seconds of sampling one job of N steps, by the clock of its device."""

    device: str
    dtype: str
    steps: int
    stock_s: float  # the pipeline as it comes
    in_full_s: float  # attached, every step evaluated: a key's first job
    planned_s: float  # attached, by a plan
    evaluated: int  # steps of the planned one

    @property
    def overhead(self) -> float:
        """What the planned job took beyond its share of the stock one, of one full evaluation, per step."""
        evaluation_s = self.stock_s / self.steps
        return (self.planned_s - self.evaluated * evaluation_s) / self.steps / evaluation_s


def whole_job(
    device: torch.device,
    steps: int,
    evaluations: int,
    shape: WanShape | None = None,
    latents: tuple[int, ...] = LATENTS,
) -> WholeJob:
    """Sample the same noise stock, attached in full, and by the plan that the latter taught."""
    wan = shape or WanShape()
    pipe = _pipeline(wan, device)
    walk = _walk(pipe, wan, steps, latents, device)
    fastflow = FastFlow()
    _walk(pipe, wan, 2, latents, device)()  # kernels are chosen and loaded
    stock_s = walk()
    in_full_s, _ = _attached(fastflow, pipe, walk, evaluations)
    planned_s, trace = _attached(fastflow, pipe, walk, evaluations)
    return WholeJob(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        dtype=str(pipe.transformer.dtype).removeprefix("torch."),
        steps=steps,
        stock_s=stock_s,
        in_full_s=in_full_s,
        planned_s=planned_s,
        evaluated=len(trace.evaluated),
    )


def _attached(fastflow: FastFlow, pipe: Any, walk: Callable[[], float], evaluations: int) -> tuple[float, Trace]:
    with fastflow.attach(pipe, "whole", evaluations=evaluations) as run:
        seconds = walk()
    return seconds, run.trace


def _walk(pipe: Any, wan: WanShape, steps: int, latents: tuple[int, ...], device: torch.device) -> Callable[[], float]:
    """Calls the pipeline on always the same noise and text; answers what that took."""
    clock, text = clock_of(device), torch.randn(2, wan.text_tokens, TEXT_DIM, generator=_seeded())
    arguments = {
        "prompt_embeds": text[:1].to(device),
        "negative_prompt_embeds": text[1:].to(device),
        "height": latents[3] * STRIDE_PX,
        "width": latents[4] * STRIDE_PX,
        "num_frames": (latents[2] - 1) * STRIDE_FRAMES + 1,
        "num_inference_steps": steps,
        "guidance_scale": GUIDANCE,
        "output_type": "latent",
    }

    def walk() -> float:
        began = clock()
        pipe(**arguments, generator=_seeded())
        return clock() - began

    return walk


def _pipeline(wan: WanShape, device: torch.device) -> Any:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(device):
        transformer = WanTransformer3DModel(
            num_attention_heads=wan.heads,
            attention_head_dim=wan.head_dim,
            text_dim=TEXT_DIM,
            ffn_dim=wan.ffn_dim,
            num_layers=wan.layers,
        )
    pipe = WanPipeline(None, None, None, FlowMatchEulerDiscreteScheduler(shift=SHIFT), transformer.to(dtype).eval())
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
