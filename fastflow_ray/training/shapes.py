"""`python -m fastflow_ray.training.shapes`: trains the embedded model from nothing and writes its folder.

Its stages, each kept in the work folder and not repeated when it is there:
autoencoder → latents of rendered clips → text encoder and transformer → a sharper decoder → pipeline with its card.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from transformers import ByT5Tokenizer, UMT5EncoderModel

from fastflow_ray.training.autoencoder import clip_batch, sharpen_decoder, train_autoencoder
from fastflow_ray.training.card import write_card
from fastflow_ray.training.flow import (
    FlowData,
    FlowModel,
    build_text_encoder,
    build_transformer,
    train_flow,
    warm_up_reading,
)
from fastflow_ray.training.scenes import Scene, random_path, render, split_scenes

HELD_OUT = 40
Leg = dict[str, float]  # of the flow's training: steps, and the smoothed loss it ended with
INFERENCE_SHIFT = 3.0


class LossLog:
    """Prints a smoothed loss now and then, and remembers the last."""

    def __init__(self, stage: str, every: int) -> None:
        self.stage, self.every, self.loss, self.started = stage, every, float("nan"), time.monotonic()

    def __call__(self, step: int, loss: float) -> None:
        self.loss = loss if step == 0 else 0.98 * self.loss + 0.02 * loss
        if step % self.every == 0:
            elapsed_s = time.monotonic() - self.started
            print(f"{self.stage} step {step}: loss {self.loss:.4f}, {elapsed_s:.0f} s", flush=True)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/shapes"), help="folder of the finished pipeline")
    parser.add_argument("--work", type=Path, default=Path("out/shapes-work"), help="finished stages; safe to delete")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--autoencoder-steps", type=int, default=5000)
    parser.add_argument("--sharpening-steps", type=int, default=2000)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--reading-steps", type=int, default=400)
    parser.add_argument("--flow-steps", type=int, default=15_000)
    parser.add_argument("--flow-from", type=Path, help="a folder `flow` of earlier work: train it further")
    return parser.parse_args()


def autoencoder_stage(work: Path, train: list[Scene], steps: int, device: torch.device) -> AutoencoderKLWan:
    """The trained autoencoder, from the work folder if it is there."""
    folder = work / "vae"
    if not (folder / "config.json").exists():
        train_autoencoder(train, steps, device, LossLog("autoencoder", 20)).save_pretrained(folder)
    return AutoencoderKLWan.from_pretrained(folder).to(device).eval()


@torch.no_grad()
def latents_stage(work: Path, vae: AutoencoderKLWan, train: list[Scene], clips: int) -> FlowData:
    """Normalised latents of `clips` rendered clips, every training scene about equally often."""
    kept = work / "latents.pt"
    rng = random.Random(5)
    shown = [train[i % len(train)] for i in range(clips)]
    if not kept.exists():
        mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
        std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
        parts = []
        for start in range(0, clips, 8):
            batch = torch.stack([render(s, random_path(s, rng)) for s in shown[start : start + 8]])
            posterior = vae.encode((batch.transpose(1, 2) * 2.0 - 1.0).to(vae.device)).latent_dist
            parts.append((posterior.mean.cpu() - mean) / std)
            if start % 400 == 0:
                print(f"latents {start} of {clips}", flush=True)
        torch.save(torch.cat(parts), kept)
    return FlowData(torch.load(kept, weights_only=True), shown)


def sharpening_stage(work: Path, vae: AutoencoderKLWan, train: list[Scene], steps: int) -> AutoencoderKLWan:
    """The autoencoder with a decoder that was trained on alone, from the work folder if it is there."""
    folder = work / "sharpened"
    if not (folder / "config.json").exists():
        sharpen_decoder(vae, train, steps, LossLog("decoder", 20))
        vae.save_pretrained(folder)
    return AutoencoderKLWan.from_pretrained(folder).to(vae.device).eval()


def flow_stage(args: argparse.Namespace, data: FlowData, train: list[Scene]) -> tuple[FlowModel, list[Leg]]:
    """Text encoder and transformer, from the work folder if they are there, and how they were trained."""
    folder = args.work / "flow"
    if not (folder / "legs.json").exists():
        model, legs = begin_flow(args, train)
        log = LossLog("flow", 50)
        average = train_flow(model, ByT5Tokenizer(), data, args.flow_steps, log, seed=3 + len(legs))
        average.text_encoder.save_pretrained(folder / "text_encoder")
        average.transformer.save_pretrained(folder / "transformer")
        (folder / "legs.json").write_text(json.dumps([*legs, {"steps": args.flow_steps, "loss": round(log.loss, 4)}]))
    return load_flow(folder)


def begin_flow(args: argparse.Namespace, train: list[Scene]) -> tuple[FlowModel, list[Leg]]:
    """New networks of which the text encoder can read already, or those of `--flow-from`."""
    if args.flow_from:
        return load_flow(args.flow_from)
    torch.manual_seed(4)
    device = torch.device(args.device)
    model = FlowModel(build_text_encoder().to(device), build_transformer().to(device))
    warm_up_reading(model.text_encoder, ByT5Tokenizer(), train, args.reading_steps, LossLog("reading", 50))
    return model, []


def load_flow(folder: Path) -> tuple[FlowModel, list[Leg]]:
    """The networks a leg of training left in `folder`, and all legs that led there."""
    model = FlowModel(
        UMT5EncoderModel.from_pretrained(folder / "text_encoder"),
        WanTransformer3DModel.from_pretrained(folder / "transformer"),
    )
    return model, json.loads((folder / "legs.json").read_text())


def assemble(model: FlowModel, vae: AutoencoderKLWan, folder: Path) -> None:
    """Write an unchanged WanPipeline in diffusers' folder format."""
    pipe = WanPipeline(
        tokenizer=ByT5Tokenizer(),
        text_encoder=model.text_encoder.cpu().eval(),
        vae=vae.cpu(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=INFERENCE_SHIFT),
        transformer=model.transformer.cpu().eval(),
    )
    shutil.rmtree(folder, ignore_errors=True)
    pipe.save_pretrained(folder, safe_serialization=True)
    for file in folder.glob("*/config.json"):  # diffusers notes the folder each part came from
        config = json.loads(file.read_text())
        config.pop("_name_or_path", None)
        file.write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def reconstruction_psnr_db(vae: AutoencoderKLWan, held_out: list[Scene]) -> float:
    """PSNR of encode-decode over clips of scenes that training never saw."""
    clips = clip_batch(held_out, 8, random.Random(6)).to(vae.device)
    back = vae.decode(vae.encode(clips).latent_dist.mean).sample.clamp(-1.0, 1.0)
    return float(-10.0 * torch.log10(((back - clips) / 2.0).square().mean()))


def main() -> None:
    """All stages."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    train, held_out = split_scenes(HELD_OUT)
    vae = autoencoder_stage(args.work, train, args.autoencoder_steps, torch.device(args.device))
    data = latents_stage(args.work, vae, train, args.clips)
    model, legs = flow_stage(args, data, train)
    vae = sharpening_stage(args.work, vae, train, args.sharpening_steps)
    psnr_db = reconstruction_psnr_db(vae, held_out)
    assemble(model, vae, args.out)
    facts = {"autoencoder_psnr_db": psnr_db, "legs": legs, "training_scenes": len(train)}
    write_card(args.out, held_out, {**facts, **vars(args)})


if __name__ == "__main__":
    main()
