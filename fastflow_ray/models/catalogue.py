"""The models a fleet can serve: where their weights are and their own defaults. Pure data; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fastflow_ray.errors import UnknownModel

EMBEDDED = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class ModelCard:
    """A name users may write in a job, and the numbers a job takes where it leaves them open."""

    name: str
    source: str  # a folder, or a hub id
    width: int
    height: int
    frames: int
    fps: int
    steps: int
    guidance: float
    shift: float
    max_sequence_length: int  # text tokens
    dtype: str = "bfloat16"
    longest_side: int = 2048  # px; more than the model can take is refused before it is queued
    most_frames: int = 257


CATALOGUE: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard("shapes", str(EMBEDDED / "shapes"), 64, 64, 17, 8, 50, 3.0, 3.0, 128, "float32", 1024, 253),
        ModelCard("wan2.1-t2v-1.3b", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", 832, 480, 81, 16, 50, 5.0, 3.0, 512),
        ModelCard("wan2.1-t2v-14b", "Wan-AI/Wan2.1-T2V-14B-Diffusers", 1280, 720, 81, 16, 50, 5.0, 5.0, 512),
        ModelCard("wan2.2-t2v-a14b", "Wan-AI/Wan2.2-T2V-A14B-Diffusers", 1280, 720, 81, 16, 50, 4.0, 5.0, 512),
        ModelCard("hunyuanvideo", "hunyuanvideo-community/HunyuanVideo", 1280, 720, 61, 15, 50, 1.0, 7.0, 256),
    )
}


def model_card(name: str) -> ModelCard:
    """The card of a model by its catalogue name; raises UnknownModel naming the ones there are."""
    try:
        return CATALOGUE[name]
    except KeyError:
        raise UnknownModel(f"no model named {name!r}; there are: {', '.join(sorted(CATALOGUE))}") from None


def models_to_serve(names: Iterable[str] | None) -> tuple[str, ...]:
    """Each of these names once, in their order, or `shapes` where there is none; raises UnknownModel."""
    return tuple(model_card(name).name for name in dict.fromkeys(names or ("shapes",)))
