"""The transformer of Wan 2.1 1.3B at 480p and 81 frames: its shapes, its multiplications, and one of its blocks timed.

A whole evaluation takes hours on a CPU. Its 30 blocks are alike, so one with random weights, times 30, times the two
branches of guidance, is the evaluation but for its embeddings and last projection; without those it is too cheap,
which is to our disadvantage.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformerBlock

LATENTS = (1, 16, 21, 60, 104)  # 480 × 832 px, 81 frames
PATCH = (1, 2, 2)


@dataclass(frozen=True)
class WanShape:
    """The numbers of a checkpoint's `config.json` that its cost depends on."""

    layers: int = 30
    heads: int = 12
    head_dim: int = 128
    ffn_dim: int = 8960
    text_tokens: int = 512
    branches: int = 2  # of guidance

    @property
    def dim(self) -> int:
        """Of a token."""
        return self.heads * self.head_dim

    def block_flops(self, tokens: int) -> int:
        """Multiplications and additions of one block: projections, attention to itself and to the text, feed-forward.

        Norms, rotations and activations are left out, as is usual.
        """
        projections = 12 * tokens * self.dim**2 + 4 * self.text_tokens * self.dim**2
        attention = 4 * tokens * (tokens + self.text_tokens) * self.dim
        return projections + attention + 4 * tokens * self.dim * self.ffn_dim


class Seconds(NamedTuple):
    """One stretch of work, by two clocks."""

    wall: float
    cpu: float  # of the process: what to compare on a machine that others use too

    def on(self, device: torch.device) -> float:
        """By the clock that tells what that device's work takes."""
        return self.wall if device.type == "cuda" else self.cpu

    def times(self, factor: float) -> Seconds:
        """As long, so many times."""
        return Seconds(self.wall * factor, self.cpu * factor)


def tokens_of(latents: Sequence[int]) -> int:
    """How many patches latents of that shape are cut into."""
    return math.prod(length // patch for length, patch in zip(latents[2:], PATCH, strict=True))


@torch.no_grad()
def block_seconds(shape: WanShape, tokens: int, device: torch.device) -> Seconds:
    """One block over that many of the latents' tokens, random weights: float32 on a CPU, bfloat16 on a GPU."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    block = WanTransformerBlock(shape.dim, shape.ffn_dim, shape.heads, "rms_norm_across_heads", True)
    block.eval().to(device, dtype)
    rotary = [
        part[:, :tokens].to(device) for part in WanRotaryPosEmbed(shape.head_dim, PATCH, 1024)(torch.empty(LATENTS))
    ]
    x, text = (torch.randn(1, n, shape.dim).to(device, dtype) for n in (tokens, shape.text_tokens))
    modulation = torch.randn(1, 6, shape.dim).to(device)
    if device.type == "cuda":
        block(x, text, modulation, rotary)  # the first call chooses and loads its kernels
        torch.cuda.synchronize()
    began = Seconds(time.perf_counter(), time.process_time())
    block(x, text, modulation, rotary)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter() - began.wall, time.process_time() - began.cpu)


def evaluation_seconds(shape: WanShape, measured: Seconds, measured_tokens: int, tokens: int) -> Seconds:
    """A whole evaluation over `tokens`, from one block over `measured_tokens`, by the multiplications of each."""
    share = shape.block_flops(tokens) / shape.block_flops(measured_tokens)
    return measured.times(share * shape.layers * shape.branches)
