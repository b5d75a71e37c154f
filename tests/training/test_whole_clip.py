"""What trains the autoencoder is what diffusers runs: one pass over a clip gives the chunked passes' numbers."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from diffusers import AutoencoderKLWan

from fastflow_ray.training import whole_clip
from fastflow_ray.training.autoencoder import build_autoencoder, crowd_batch


def jittered(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """With weights off their structured beginning, so that every tap in time counts."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in vae.parameters():
            weight += 0.02 * torch.randn_like(weight)
    return vae.eval()


def unpatched() -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=16, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


@pytest.mark.parametrize("build", [build_autoencoder, unpatched])
@pytest.mark.parametrize("frames", [1, 5, 17])
@torch.no_grad()
def test_one_pass_equals_the_chunked_passes(build: type, frames: int) -> None:
    vae = jittered(build())
    prepared = whole_clip.prepare(copy.deepcopy(vae))
    clips = crowd_batch(1, frames, random.Random(0))
    latents = vae.encode(clips).latent_dist.mean
    torch.testing.assert_close(whole_clip.encode(prepared, clips), latents, atol=1e-4, rtol=1e-4)
    decoded = whole_clip.decode(prepared, latents).clamp(-1.0, 1.0)
    torch.testing.assert_close(decoded, vae.decode(latents).sample, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_new_autoencoder_treats_every_frame_as_a_picture() -> None:
    """The structured beginning: a clip that stands still is decoded as if each frame came alone."""
    vae = build_autoencoder().eval()
    still = crowd_batch(1, 1, random.Random(0)).expand(-1, -1, 17, -1, -1)
    decoded = vae.decode(vae.encode(still).latent_dist.mean).sample
    spread = (decoded - decoded[:, :, :1]).abs().mean() / decoded.abs().mean()
    assert spread < 0.5  # begun at random it is above 1
