"""One pass of AutoencoderKLWan over a whole clip: the same numbers as its chunked passes, and twice as fast to train.

diffusers encodes and decodes four frames at a time and carries the last frames of every layer along, which bounds
memory and costs launches. Source: diffusers 0.42, `autoencoder_kl_wan.py`; equality is held by
`tests/training/test_whole_clip.py`.
"""

from __future__ import annotations

import types
from typing import cast

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import (
    WanCausalConv3d,
    WanResample,
    WanRMS_norm,
    patchify,
    unpatchify,
)
from torch import nn


def prepare(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """Replace, in this object alone, the two kinds of layers that depend on chunks or are slow; weights stay."""
    for module in vae.modules():
        if isinstance(module, WanRMS_norm):
            module.forward = types.MethodType(_rms_norm, module)
        elif isinstance(module, WanResample):
            module.forward = types.MethodType(_resample, module)
    return vae


def encode(vae: AutoencoderKLWan, clips: torch.Tensor) -> torch.Tensor:
    """Posterior means (clips, z, 1 + (frames - 1) / 4, height / 8, width / 8) of a prepared autoencoder."""
    if vae.config.patch_size is not None:
        clips = patchify(clips, vae.config.patch_size)
    return cast(torch.Tensor, vae.quant_conv(vae.encoder(clips))[:, : vae.config.z_dim])


def decode(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Clips (clips, 3, frames, height, width), not clamped: a clamp would hide overshoot from the gradient."""
    clips = vae.decoder(vae.post_quant_conv(latents))
    if vae.config.patch_size is not None:
        clips = unpatchify(clips, vae.config.patch_size)
    return cast(torch.Tensor, clips)


def _rms_norm(self: WanRMS_norm, x: torch.Tensor) -> torch.Tensor:
    """`F.normalize` times the square root of the width, as one mean."""
    mean_square = x.float().square().mean(1 if self.channel_first else -1, keepdim=True)
    normalised: torch.Tensor = x * torch.rsqrt(mean_square + 1e-12).to(x.dtype) * self.gamma
    return normalised


def _resample(self: WanResample, x: torch.Tensor, *chunk_state: object) -> torch.Tensor:
    """The first frame is never mixed in time; all others are halved or doubled."""
    if self.mode == "upsample3d":
        x = torch.cat([x[:, :, :1], _double_time(self.time_conv, x[:, :, 1:])], dim=2) if x.shape[2] > 1 else x
    x = _per_frame(self.resample, x)
    if self.mode == "downsample3d" and x.shape[2] > 1:
        x = torch.cat([x[:, :, :1], self.time_conv(x)], dim=2)
    return x


def _double_time(time_conv: WanCausalConv3d, x: torch.Tensor) -> torch.Tensor:
    """Twice the channels become twice the frames."""
    clips, channels, frames, height, width = x.shape
    pairs = time_conv(x).reshape(clips, 2, channels, frames, height, width)
    return torch.stack((pairs[:, 0], pairs[:, 1]), dim=3).reshape(clips, channels, 2 * frames, height, width)


def _per_frame(resample: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Halve or double height and width."""
    clips, _, frames, _, _ = x.shape
    x = resample(x.transpose(1, 2).flatten(0, 1))
    return x.view(clips, frames, *x.shape[1:]).transpose(1, 2)
