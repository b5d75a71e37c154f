"""First stage: the video autoencoder of `shapes`, trained on rendered clips.

Knows clips and AutoencoderKLWan; knows nothing of captions or flow.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from diffusers import AutoencoderKLWan
from torch import nn

from fastflow_ray.training.scenes import FRAMES, Scene, random_path, render

Report = Callable[[int, float], None]  # (step, loss)

# Latents are kept near unit size by a light pull, and smooth by noise of this standard deviation in training.
LATENT_PULL = 1e-4
LATENT_NOISE = 0.03
SHAPE_WEIGHT = 10.0

# (share of the run, frames per clip, clips per step): single pictures first, then clips. Nine frames are three
# latent frames: the first, the second and the general case of the causal convolutions.
CURRICULUM = ((0.15, 1, 4), (0.40, 9, 1), (0.45, FRAMES, 1))


def build_autoencoder() -> AutoencoderKLWan:
    """The smallest member of Wan's autoencoder family: 0.83 M parameters, 4×8×8 compression, z = 16."""
    vae = AutoencoderKLWan(
        base_dim=16,
        z_dim=16,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )
    # PyTorch's own start lets the picture drown in the biases.
    for name, weight in vae.named_parameters():
        if weight.ndim >= 4 and "gamma" not in name:
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        elif name.endswith("bias"):
            nn.init.zeros_(weight)
    return vae


def clip_batch(scenes: list[Scene], clips: int, frames: int, rng: random.Random) -> torch.Tensor:
    """Random scenes on random paths: float32 (clips, 3, frames, 64, 64) in [-1, 1]."""
    batch = []
    for _ in range(clips):
        scene = rng.choice(scenes)
        start = rng.randint(0, FRAMES - frames)
        batch.append(render(scene, random_path(scene, rng))[start : start + frames])
    return torch.stack(batch).transpose(1, 2) * 2.0 - 1.0


def reconstruction_loss(vae: AutoencoderKLWan, clips: torch.Tensor) -> torch.Tensor:
    """Mean absolute + 2 × squared error of the round trip; the posterior's variance is not trained.

    A small shape covers 4 % of the picture, so its pixels weigh `SHAPE_WEIGHT` times those of the background.
    """
    with torch.autocast(clips.device.type, dtype=torch.bfloat16):
        mean: torch.Tensor = vae.encode(clips).latent_dist.mean
        back: torch.Tensor = vae.decode(mean + LATENT_NOISE * torch.randn_like(mean)).sample
    error = (back.float() - clips).abs()
    ground = clips[..., :1, :1]  # no shape reaches the corner
    weight = 1.0 + (SHAPE_WEIGHT - 1.0) * ((clips - ground).abs().amax(dim=1, keepdim=True) > 0.05)
    weighted = ((error + 2.0 * error.square()) * weight).mean() / weight.mean()
    return weighted + LATENT_PULL * mean.float().square().mean()


def stage_at(progress: float) -> tuple[int, int]:
    """(frames, clips) of the curriculum at `progress` in [0, 1)."""
    reached = 0.0
    for share, frames, clips in CURRICULUM:
        reached += share
        if progress < reached:
            return frames, clips
    return CURRICULUM[-1][1:]


def train_autoencoder(scenes: list[Scene], steps: int, device: torch.device, report: Report) -> AutoencoderKLWan:
    """Train from scratch for `steps` steps and set the latents' mean and standard deviation from data."""
    torch.manual_seed(1)
    rng = random.Random(1)
    vae = build_autoencoder().to(device)
    _fit(vae, scenes, steps, rng, report, stage_at, peak_lr=5e-4)
    set_latent_statistics(vae, scenes, device, rng)
    return vae


def sharpen_decoder(vae: AutoencoderKLWan, scenes: list[Scene], steps: int, report: Report) -> None:
    """Train the decoder alone on whole clips: latents stay what they are, and so does a flow model over them."""
    torch.manual_seed(8)
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(False)
    _fit(vae, scenes, steps, random.Random(8), report, lambda progress: (FRAMES, 1), peak_lr=4e-4)
    vae.requires_grad_(True)


def _fit(
    vae: AutoencoderKLWan,
    scenes: list[Scene],
    steps: int,
    rng: random.Random,
    report: Report,
    stage: Callable[[float], tuple[int, int]],
    peak_lr: float,
) -> None:
    """AdamW on what is not frozen, the learning rate falling as a cosine from `peak_lr` to 2 % of it."""
    trained = [weight for weight in vae.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=1e-4)
    vae.train()
    for step in range(steps):
        progress, warm = step / steps, min(1.0, (step + 1) / 30)
        optimizer.param_groups[0]["lr"] = peak_lr * warm * (0.51 + 0.49 * math.cos(math.pi * progress))
        frames, clips = stage(progress)
        loss = reconstruction_loss(vae, clip_batch(scenes, clips, frames, rng).to(vae.device))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        report(step, loss.item())
    vae.eval()


@torch.no_grad()
def set_latent_statistics(
    vae: AutoencoderKLWan, scenes: list[Scene], device: torch.device, rng: random.Random, batches: int = 16
) -> None:
    """Write the per-channel mean and standard deviation of encoded clips into the autoencoder's config."""
    latents = torch.cat(
        [vae.encode(clip_batch(scenes, 4, FRAMES, rng).to(device)).latent_dist.mean for _ in range(batches)]
    )
    vae.register_to_config(
        latents_mean=latents.mean(dim=(0, 2, 3, 4)).tolist(),
        latents_std=latents.std(dim=(0, 2, 3, 4)).tolist(),
    )
