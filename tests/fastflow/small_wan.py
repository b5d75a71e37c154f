"""The embedded model as a pipeline of one or two experts, and the velocity it integrates as a plain function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from torch import Tensor

from fastflow_ray.models.catalogue import EMBEDDED
from fastflow_ray.models.scheduler import MachineFor
from fastflow_ray.sampling.skip_policy import SkipPolicy
from fastflow_ray.sampling.step_machine import StepMachine

STEPS = 12
SHIFT = 3.0
BOUNDARY = 0.8
SHAPE = (1, 16, 2, 4, 4)  # batch, channels, latent frames, latent height, latent width


def small_transformer(seed: int) -> WanTransformer3DModel:
    torch.manual_seed(seed)
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=24,
        text_dim=64,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        rope_max_seq_len=32,
    ).eval()


def shapes_components() -> dict[str, Any]:
    """The embedded model's own parts; the scheduler is left out."""
    parts = dict(WanPipeline.from_pretrained(EMBEDDED / "shapes").components)
    return {name: parts[name] for name in ("tokenizer", "text_encoder", "vae", "transformer")}


def one_expert(components: dict[str, Any]) -> WanPipeline:
    """One transformer on the flow-Euler grid."""
    return _quiet(WanPipeline(**components, scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT)))


def two_experts(components: dict[str, Any]) -> WanPipeline:
    """Like Wan 2.2: a second transformer takes over below sigma = BOUNDARY."""
    second = {"transformer_2": small_transformer(2), "boundary_ratio": BOUNDARY}
    return _quiet(WanPipeline(**components, **second, scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT)))


def _quiet(pipe: WanPipeline) -> WanPipeline:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def machines(policy: Callable[..., SkipPolicy], *args: int) -> MachineFor:
    """Lets a fresh `policy(*args)` decide the skips of every trajectory."""
    return lambda sigmas, shape, restarts: StepMachine(sigmas, policy(*args), restarts)


def noise() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))


def call(pipe: WanPipeline, guidance: float = 3.0, steps: int = STEPS, **more: Any) -> Tensor:
    """The latents of one pipeline call."""
    size = {"height": 32, "width": 32, "num_frames": 5, "max_sequence_length": 16}
    asked = {"prompt": "a red circle", "guidance_scale": guidance, "num_inference_steps": steps, "latents": noise()}
    return pipe(**(asked | size | more), output_type="latent").frames


@dataclass
class PlainVelocity:
    """velocity(x, sigma) of a pipeline with its guidance, outside of diffusers' loop."""

    pipe: WanPipeline
    guidance: float

    @torch.no_grad()
    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        timestep = sigma * 1000
        boundary = self.pipe.config.boundary_ratio
        first = boundary is None or timestep >= boundary * 1000
        network = self.pipe.transformer if first else self.pipe.transformer_2
        cond, uncond = self.pipe.encode_prompt("a red circle", None, self.guidance > 1, max_sequence_length=16)
        with network.cache_context("cond"):
            v = network(x, timestep.expand(1), cond, return_dict=False)[0]
        if self.guidance > 1:
            with network.cache_context("uncond"):
                v_uncond = network(x, timestep.expand(1), uncond, return_dict=False)[0]
            v = v_uncond + self.guidance * (v - v_uncond)
        return v


def count_calls(transformer: torch.nn.Module) -> list[int]:
    """A list that grows whenever the network really runs, by a submodule that every forward passes once."""
    calls: list[int] = []
    transformer.patch_embedding.register_forward_hook(lambda *_: calls.append(1))
    return calls
