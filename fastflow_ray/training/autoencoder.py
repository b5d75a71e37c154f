"""First stage: the video autoencoder of `shapes`, trained on rendered clips.

Knows clips and AutoencoderKLWan; knows nothing of captions or flow.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKLWan
from torch import nn

from fastflow_ray.training import whole_clip
from fastflow_ray.training.crowds import crowded_clip
from fastflow_ray.training.scenes import FRAMES, Scene, random_path, render

Report = Callable[[int, float], None]  # (step, loss)
Batch = Callable[[], torch.Tensor]

# Latents are kept near unit size by a light pull, and smooth by noise of this standard deviation in training.
LATENT_PULL = 1e-4
LATENT_NOISE = 0.08
SHAPE_WEIGHT = 5.0
PEAK_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum: its share of the run, and what a step sees."""

    share: float
    batch: Batch


def build_autoencoder() -> AutoencoderKLWan:
    """Wan's autoencoder, small: 1.5 M parameters, 4×8×8 compression (the first 2× by patches), z = 16."""
    vae = AutoencoderKLWan(
        base_dim=24,
        z_dim=16,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        patch_size=2,
        in_channels=12,
        out_channels=12,
    )
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None  # in all of this family
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Conv3d) and module.kernel_size[0] == 3:
            inflate(module, mixes_time=name.endswith("time_conv"))
    return vae


@torch.no_grad()
def inflate(convolution: nn.Conv3d, mixes_time: bool) -> None:
    """Begin as an autoencoder of pictures that holds every frame for a while; motion is learnt on top.

    A convolution looks at the last of its three frames only. A halving in time begins as the mean of two frames, a
    doubling as two copies. Begun at random, these four layers alone cost an hour: `docs/experiments.md`.
    """
    weight = convolution.weight
    if not mixes_time:
        weight[:, :, 2] *= math.sqrt(3.0)
        weight[:, :, :2] = 0.0
        return
    same = torch.eye(convolution.in_channels)
    weight *= 0.1
    if convolution.out_channels == convolution.in_channels:
        weight[:, :, 1:, 0, 0] += 0.5 * same.unsqueeze(-1)
    else:
        weight[:, :, 2, 0, 0] += torch.cat([same, same])


def clip_batch(scenes: list[Scene], clips: int, rng: random.Random) -> torch.Tensor:
    """Random scenes on random paths: float32 (clips, 3, 17, 64, 64) in [-1, 1]."""
    shown = [rng.choice(scenes) for _ in range(clips)]
    return torch.stack([render(scene, random_path(scene, rng)) for scene in shown]).transpose(1, 2) * 2.0 - 1.0


def crowd_batch(clips: int, frames: int, rng: random.Random) -> torch.Tensor:
    """Crowds: float32 (clips, 3, frames, 64, 64) in [-1, 1]."""
    return torch.stack([crowded_clip(rng, frames) for _ in range(clips)]).transpose(1, 2) * 2.0 - 1.0


def curriculum(scenes: list[Scene], rng: random.Random) -> tuple[Stage, ...]:
    """Pictures of crowds, moving crowds, and at last what the model is for."""
    return (
        Stage(0.20, lambda: crowd_batch(8, 1, rng)),
        Stage(0.50, lambda: crowd_batch(1, FRAMES, rng)),
        Stage(0.30, lambda: torch.cat([crowd_batch(1, FRAMES, rng), clip_batch(scenes, 1, rng)])),
    )


def stage_at(stages: tuple[Stage, ...], progress: float) -> Stage:
    """The stage that `progress` in [0, 1) falls into."""
    for stage in stages:
        progress -= stage.share
        if progress < 0:
            return stage
    return stages[-1]


def reconstruction_loss(vae: AutoencoderKLWan, clips: torch.Tensor) -> torch.Tensor:
    """Of the round trip; the posterior's variance is not trained."""
    with torch.autocast(clips.device.type, dtype=torch.bfloat16):
        mean = whole_clip.encode(vae, clips)
        back = whole_clip.decode(vae, mean + LATENT_NOISE * torch.randn_like(mean))
    return picture_loss(back.float(), clips) + LATENT_PULL * mean.float().square().mean()


def picture_loss(back: torch.Tensor, clips: torch.Tensor) -> torch.Tensor:
    """Mean absolute + 2 × squared error, over (clips, 3, frames, height, width).

    What differs from the ground weighs `SHAPE_WEIGHT` times it: a small shape covers 4 % of the picture.
    """
    error = (back - clips).abs()
    ground = clips[..., :1, :1]
    weight = 1.0 + (SHAPE_WEIGHT - 1.0) * ((clips - ground).abs().amax(dim=1, keepdim=True) > 0.05)
    return ((error + 2.0 * error.square()) * weight).mean() / weight.mean()


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up over 30 steps, then a cosine down to 1 % of the peak."""
    warm = min(1.0, (step + 1) / 30)
    return PEAK_LEARNING_RATE * warm * (0.505 + 0.495 * math.cos(math.pi * step / steps))


def train_autoencoder(scenes: list[Scene], steps: int, device: torch.device, report: Report) -> AutoencoderKLWan:
    """Train from nothing for `steps` steps and set the latents' mean and standard deviation from data."""
    torch.manual_seed(1)
    rng = random.Random(1)
    vae = build_autoencoder().to(device)
    trained = whole_clip.prepare(copy.deepcopy(vae)).train()
    stages = curriculum(scenes, rng)

    def loss_at(progress: float) -> torch.Tensor:
        return reconstruction_loss(trained, stage_at(stages, progress).batch().to(device))

    _fit(list(trained.parameters()), steps, loss_at, report)
    vae.load_state_dict(trained.state_dict())
    set_latent_statistics(vae.eval(), scenes, rng)
    return vae


def sharpen_decoder(vae: AutoencoderKLWan, scenes: list[Scene], steps: int, report: Report) -> None:
    """Train the decoder alone on scenes: latents stay what they are, and so does a flow model over them.

    Three clips in four show a small shape, whose outline is hardest; latents carry noise, as a flow model's do.
    """
    torch.manual_seed(8)
    rng = random.Random(8)
    mostly_small = [scene for scene in scenes for _ in range(3 if scene.size == "small" else 1)]
    trained = whole_clip.prepare(copy.deepcopy(vae)).train()

    def loss_at(progress: float) -> torch.Tensor:
        clips = clip_batch(mostly_small, 2, rng).to(vae.device)
        with torch.autocast(clips.device.type, dtype=torch.bfloat16):
            with torch.no_grad():
                mean = whole_clip.encode(trained, clips)
            back = whole_clip.decode(trained, mean + 2.0 * LATENT_NOISE * torch.randn_like(mean))
        by_clip = [picture_loss(back[i : i + 1].float(), clips[i : i + 1]) for i in range(len(clips))]
        return torch.stack(by_clip).mean()

    _fit([*trained.decoder.parameters(), *trained.post_quant_conv.parameters()], steps, loss_at, report)
    vae.load_state_dict(trained.state_dict())


def _fit(weights: list[nn.Parameter], steps: int, loss_at: Callable[[float], torch.Tensor], report: Report) -> None:
    """AdamW for `steps` steps on the loss at each progress in [0, 1)."""
    optimizer = torch.optim.AdamW(weights, betas=(0.9, 0.95), weight_decay=1e-4)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
        loss = loss_at(step / steps)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        report(step, loss.item())


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLWan, scenes: list[Scene], rng: random.Random, batches: int = 16) -> None:
    """Write the per-channel mean and standard deviation of encoded clips into the autoencoder's config."""
    batch = [clip_batch(scenes, 4, rng).to(vae.device) for _ in range(batches)]
    latents = torch.cat([vae.encode(clips).latent_dist.mean for clips in batch])
    vae.register_to_config(
        latents_mean=latents.mean(dim=(0, 2, 3, 4)).tolist(),
        latents_std=latents.std(dim=(0, 2, 3, 4)).tolist(),
    )
