"""The model card of `shapes`: what it was trained on and how, how well prompts steer it, and a grid of samples."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from diffusers import WanPipeline
from PIL import Image

from fastflow_ray.training.detector import detect
from fastflow_ray.training.scenes import SIZE_PX, Scene, caption

CAPTION_SEED = 7
TEXT_LENGTH = 128
GRID_FRAMES = (0, 8, 16)


def held_out_captions(held_out: list[Scene]) -> list[str]:
    """One fully worded caption per held-out scene, always the same ones."""
    rng = random.Random(CAPTION_SEED)
    return [caption(scene, rng, say_everything=True) for scene in held_out]


def generate_clips(
    pipe: WanPipeline, captions: list[str], steps: int = 50, guidance: float = 3.0, batch: int = 8
) -> torch.Tensor:
    """Clips for the captions by the unchanged pipeline: float32 (captions, frames, 3, 64, 64) in [0, 1]."""
    pipe.set_progress_bar_config(disable=True)
    clips = []
    for start in range(0, len(captions), batch):
        texts = captions[start : start + batch]
        seeds = [torch.Generator().manual_seed(start + i) for i in range(len(texts))]
        clips.append(
            pipe(
                texts,
                height=SIZE_PX,
                width=SIZE_PX,
                num_frames=17,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=seeds,
                max_sequence_length=TEXT_LENGTH,
                output_type="pt",
            ).frames
        )
    return torch.cat(clips)


def agreement(clips: torch.Tensor, shown: list[Scene]) -> float:
    """Share of clips in which colour, shape and motion are all as asked."""
    seen = [detect(clip) for clip in clips]
    return sum(s is not None and s.agrees_with(scene) for s, scene in zip(seen, shown, strict=True)) / len(shown)


def save_grid(clips: torch.Tensor, path: Path, columns: int = 4) -> None:
    """First, middle and last frame of each clip, side by side, as a PNG."""
    strips = [torch.cat([clip[i] for i in GRID_FRAMES], dim=-1) for clip in clips]
    rows = [torch.cat(strips[i : i + columns], dim=-1) for i in range(0, len(strips), columns)]
    picture = (torch.cat(rows, dim=-2).clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    Image.fromarray(picture.numpy()).save(path)


CARD = """\
---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-video
---
# shapes

A text-to-video flow model small enough to live in a repository and to run on a laptop's CPU.
It draws one coloured shape moving over a plain background: 64×64 px, 17 frames.
`WanPipeline.from_pretrained(folder)` loads it unchanged.

| part | class | parameters |
|---|---|---|
| autoencoder | AutoencoderKLWan, 4×8×8, z = 16 | {vae_parameters:,} |
| transformer | WanTransformer3DModel, 6 layers × 128, patch 1×2×2 | {transformer_parameters:,} |
| text encoder | UMT5EncoderModel, 2 layers × 64, over ByT5 bytes | {text_parameters:,} |

**Data.** Clips rendered by `fastflow_ray/training/scenes.py`: {scenes} combinations of size, colour, shape, motion and
background, {held_out} of them held out; captions in varied English, 11 % of them dropped for guidance.

**Training.** Autoencoder: {autoencoder_steps} steps, then {sharpening_steps} of the decoder alone;
{autoencoder_psnr_db:.1f} dB on held-out scenes.
Flow: {clips} clips, logit-normal sigma with shift 3, AdamW, moving average, batches of 16, in legs of
{legs}.
By `python -m fastflow_ray.training.shapes`, on a CPU; `docs/experiments.md` has the settings of each leg.

**Steering.** Colour, shape and motion, all three, agree with the prompt in {agreement:.0%} of the {held_out} held-out
captions (50 steps, guidance 3, shift 3; detector in `fastflow_ray/training/detector.py`).

![samples](samples.png)

First, middle and last frame of 16 held-out captions.
"""


def write_card(folder: Path, held_out: list[Scene], facts: dict[str, Any]) -> float:
    """Generate the held-out captions, measure, write `README.md` and `samples.png`; the agreement."""
    pipe = WanPipeline.from_pretrained(folder)
    clips = generate_clips(pipe, held_out_captions(held_out))
    agreed = agreement(clips, held_out)
    save_grid(clips[:16], folder / "samples.png")

    def parameters(part: torch.nn.Module) -> int:
        return sum(p.numel() for p in part.parameters())

    text = CARD.format(
        vae_parameters=parameters(pipe.vae),
        transformer_parameters=parameters(pipe.transformer),
        text_parameters=parameters(pipe.text_encoder),
        scenes=len(held_out) + facts["training_scenes"],
        held_out=len(held_out),
        agreement=agreed,
        legs=", ".join(f"{leg['steps']:,} steps (to a loss of {leg['loss']:.3f})" for leg in facts["legs"]),
        **{
            k: facts[k]
            for k in (
                "autoencoder_steps",
                "sharpening_steps",
                "autoencoder_psnr_db",
                "clips",
            )
        },
    )
    (folder / "README.md").write_text(text)
    print(f"{agreed:.0%} of {len(held_out)} held-out captions agree", flush=True)
    return agreed
