"""Second stage: text encoder and transformer of `shapes`, trained together by flow matching.

x(sigma) = (1 - sigma)·data + sigma·noise, and the network learns v = dx/dsigma = noise - data.
Knows latents and captions; knows nothing of pixels.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import WanTransformer3DModel
from torch import nn
from transformers import ByT5Tokenizer, UMT5Config, UMT5EncoderModel

from fastflow_ray.training import scenes
from fastflow_ray.training.scenes import Scene, caption

TEXT_DIM = 64
CAPTION_DROPOUT = 0.11
TRAINING_SHIFT = 3.0
MOTION_WEIGHT = 2.0
# Padding is a varying number of zero vectors, so the model must not care how many there are.
TEXT_LENGTHS = (96, 96, 96, 96, 96, 96, 128, 128, 256)

Report = Callable[[int, float], None]


def build_text_encoder() -> UMT5EncoderModel:
    """Two layers over the bytes of the caption: 0.1 M parameters, text_dim 64."""
    return UMT5EncoderModel(
        UMT5Config(vocab_size=384, d_model=TEXT_DIM, d_kv=16, d_ff=128, num_layers=2, num_heads=4, dropout_rate=0.0)
    )


def build_transformer() -> WanTransformer3DModel:
    """Six layers of width 128 over 80 patches of a 16×5×8×8 latent: 1.6 M parameters."""
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=4,
        attention_head_dim=32,
        in_channels=16,
        out_channels=16,
        text_dim=TEXT_DIM,
        freq_dim=128,
        ffn_dim=512,
        num_layers=6,
        rope_max_seq_len=64,
    )


@dataclass
class FlowModel:
    """The two networks that are trained together."""

    text_encoder: UMT5EncoderModel
    transformer: WanTransformer3DModel

    def parameters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [*self.text_encoder.parameters(), *self.transformer.parameters()]


def encode_captions(
    encoder: UMT5EncoderModel, tokenizer: ByT5Tokenizer, captions: Sequence[str], length: int
) -> torch.Tensor:
    """Text states as WanPipeline makes them, zero where there is padding: (captions, length, TEXT_DIM)."""
    device = encoder.device
    tokens = tokenizer(
        list(captions), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).to(device)
    states: torch.Tensor = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    present: torch.Tensor = tokens.attention_mask.unsqueeze(-1)
    return states * present


VOCABULARY: dict[str, tuple[str, ...]] = {
    "size": tuple(scenes.RADIUS_PX),
    "colour": tuple(scenes.COLOURS),
    "shape": scenes.SHAPES,
    "motion": tuple(scenes.MOTIONS),
    "background": tuple(scenes.BACKGROUNDS),
}


def warm_up_reading(
    encoder: UMT5EncoderModel,
    tokenizer: ByT5Tokenizer,
    train: list[Scene],
    steps: int,
    report: Report,
    seed: int = 2,
) -> None:
    """Teach the encoder to read before it has to help painting: classify the caption's words.

    The five classifiers are thrown away; without them the transformer waits thousands of steps for readable text.
    """
    rng = random.Random(seed)
    heads = nn.ModuleDict({name: nn.Linear(TEXT_DIM, len(words)) for name, words in VOCABULARY.items()})
    heads.to(encoder.device)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=2e-3, weight_decay=0.01)
    for step in range(steps):
        batch = [rng.choice(train) for _ in range(64)]
        texts = [caption(scene, rng, say_everything=True) for scene in batch]
        pooled = encode_captions(encoder, tokenizer, texts, 96).sum(dim=1) / 8.0
        loss = torch.zeros((), device=encoder.device)
        for name, words in VOCABULARY.items():
            truth = torch.tensor([words.index(getattr(scene, name)) for scene in batch], device=encoder.device)
            loss = loss + nn.functional.cross_entropy(heads[name](pooled), truth)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        report(step, loss.item())


def shifted_sigma(batch: int, device: torch.device) -> torch.Tensor:
    """Logit-normal noise levels on the shifted grid: (batch,) in (0, 1)."""
    u = torch.sigmoid(torch.randn(batch, device=device))
    return TRAINING_SHIFT * u / (1.0 + (TRAINING_SHIFT - 1.0) * u)


def flow_loss(model: FlowModel, text: torch.Tensor, data: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The loss to train by, and E‖v(x(sigma), sigma, text) - (noise - data)‖² per coordinate to report.

    `data` is (batch, 16, 5, 8, 8). To train by, what changes over time weighs `MOTION_WEIGHT`² times what stays: a
    clip's colours are most of its energy, its motion little. The best velocity is the same under any such weights.
    """
    sigma = shifted_sigma(len(data), data.device)
    noise = torch.randn_like(data)
    mix = sigma.view(-1, 1, 1, 1, 1)
    x = (1.0 - mix) * data + mix * noise
    inputs = {"hidden_states": x, "timestep": sigma * 1000.0, "encoder_hidden_states": text}
    velocity: torch.Tensor = model.transformer(**inputs, return_dict=False)[0]
    error = velocity.float() - (noise - data)
    lasting = error.mean(dim=2, keepdim=True)
    weighted = (lasting + MOTION_WEIGHT * (error - lasting)).square().mean()
    return weighted, float(error.detach().square().mean())


class MovingAverage:
    """Exponential moving average of a model's weights, with a short memory at the beginning."""

    def __init__(self, model: FlowModel, decay: float = 0.9985) -> None:
        self.model = copy.deepcopy(model)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: FlowModel, step: int) -> None:
        """Move towards the weights of `model`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, now in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(now, 1.0 - decay)


@dataclass(frozen=True)
class FlowData:
    """Normalised latents of the training clips and the scenes they show."""

    latents: torch.Tensor  # float32 (clips, 16, 5, 8, 8)
    shown: list[Scene]

    def batch(self, size: int, rng: random.Random) -> tuple[torch.Tensor, list[str]]:
        """Latents and freshly worded captions, one in nine dropped for guidance."""
        picks = [rng.randrange(len(self.shown)) for _ in range(size)]
        texts = ["" if rng.random() < CAPTION_DROPOUT else caption(self.shown[i], rng) for i in picks]
        return self.latents[picks], texts


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 200 steps, then a cosine down to 2 % of the peak."""
    warm = min(1.0, (step + 1) / 200)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * step / steps)))


def train_flow(
    model: FlowModel,
    tokenizer: ByT5Tokenizer,
    data: FlowData,
    steps: int,
    report: Report,
    batch: int = 16,
    peak_lr: float = 2e-3,
    seed: int = 3,
) -> FlowModel:
    """Flow matching with caption dropout; returns the moving average of the weights."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    device = next(iter(model.parameters())).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.01)
    average = MovingAverage(model)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps, peak_lr)
        latents, texts = data.batch(batch, rng)
        text = encode_captions(model.text_encoder, tokenizer, texts, rng.choice(TEXT_LENGTHS))
        loss, error = flow_loss(model, text, latents.to(device))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        report(step, error)
    return average.model
