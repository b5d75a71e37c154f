"""The world the `shapes` model knows: one coloured shape moving over a plain background.

A `Scene` is drawn (`render`), described (`caption`) and, in `detector.py`, recognised again.
This room knows pixels and English; it knows nothing of networks.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import torch

SIZE_PX = 64
FRAMES = 17
FPS = 8

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.90, 0.10, 0.10),
    "green": (0.15, 0.80, 0.20),
    "blue": (0.20, 0.40, 1.00),
    "yellow": (0.98, 0.90, 0.15),
    "purple": (0.65, 0.20, 0.85),
    "orange": (1.00, 0.52, 0.05),
    "white": (1.00, 1.00, 1.00),
}
BACKGROUNDS: dict[str, tuple[float, float, float]] = {
    "black": (0.02, 0.02, 0.02),
    "navy": (0.03, 0.05, 0.28),
    "gray": (0.42, 0.42, 0.42),
    "teal": (0.00, 0.33, 0.35),
    "brown": (0.30, 0.17, 0.08),
}
RADIUS_PX: dict[str, float] = {"small": 7.5, "large": 13.0}
SHAPES = ("circle", "square", "triangle")
EXTENT = {"circle": 1.0, "square": 0.89, "triangle": 1.24}  # farthest up, down or aside, in radii
MOTIONS: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "still": (0, 0),
}


@dataclass(frozen=True)
class Scene:
    """What one clip shows, in the words of its caption."""

    size: str
    colour: str
    shape: str
    motion: str
    background: str


@dataclass(frozen=True)
class Path:
    """Where the shape's centre is: `start_px` at the first frame, `end_px` at the last, as (x, y)."""

    start_px: tuple[float, float]
    end_px: tuple[float, float]


def every_scene() -> list[Scene]:
    """All combinations of the vocabulary, in a fixed order."""
    return [Scene(*words) for words in itertools.product(RADIUS_PX, COLOURS, SHAPES, MOTIONS, BACKGROUNDS)]


def split_scenes(held_out: int, seed: int = 20_26) -> tuple[list[Scene], list[Scene]]:
    """Scenes to train on, and `held_out` combinations that training never sees."""
    scenes = every_scene()
    random.Random(seed).shuffle(scenes)
    return scenes[held_out:], scenes[:held_out]


def random_path(scene: Scene, rng: random.Random) -> Path:
    """A path of 20 to 34 px in the scene's direction that keeps the whole shape in the picture."""
    margin = RADIUS_PX[scene.size] * EXTENT[scene.shape] + 2.0
    way_px = rng.uniform(20.0, min(34.0, SIZE_PX - 2 * margin))
    ends = []
    for direction in MOTIONS[scene.motion]:
        reach = SIZE_PX - 2 * margin - (way_px if direction else 0.0)
        low = margin + rng.uniform(0.0, reach)
        ends.append((low + way_px, low) if direction < 0 else (low, low + way_px * direction))
    (x0, x1), (y0, y1) = ends
    return Path((x0, y0), (x1, y1))


def signed_distance(shape: str, x: torch.Tensor, y: torch.Tensor, radius: float) -> torch.Tensor:
    """Distance in px to the outline, negative inside; all three shapes cover about equal area."""
    if shape == "circle":
        return torch.sqrt(x * x + y * y) - radius
    if shape == "square":
        half = radius * 0.89
        return torch.maximum(x.abs(), y.abs()) - half
    down = y - 0.62 * radius
    slope = 0.866 * x.abs() - 0.5 * y - 0.62 * radius
    return torch.maximum(down, slope)


def render(scene: Scene, path: Path) -> torch.Tensor:
    """The clip, antialiased: float32 (FRAMES, 3, 64, 64) in [0, 1]."""
    at = torch.linspace(0.0, 1.0, FRAMES)
    centre_x = path.start_px[0] + at * (path.end_px[0] - path.start_px[0])
    centre_y = path.start_px[1] + at * (path.end_px[1] - path.start_px[1])
    pixel = torch.arange(SIZE_PX) + 0.5
    x = pixel.view(1, 1, -1) - centre_x.view(-1, 1, 1)
    y = pixel.view(1, -1, 1) - centre_y.view(-1, 1, 1)
    distance = signed_distance(scene.shape, x, y, RADIUS_PX[scene.size])
    cover = (0.5 - distance).clamp(0.0, 1.0).unsqueeze(1)
    ink = torch.tensor(COLOURS[scene.colour]).view(1, 3, 1, 1)
    ground = torch.tensor(BACKGROUNDS[scene.background]).view(1, 3, 1, 1)
    return cover * ink + (1.0 - cover) * ground


_MOVES = {
    "left": ("moving left", "moves to the left", "sliding left", "drifting to the left"),
    "right": ("moving right", "moves to the right", "sliding right", "drifting to the right"),
    "up": ("moving up", "moves upwards", "rising up", "drifting up"),
    "down": ("moving down", "moves downwards", "falling down", "drifting down"),
    "still": ("standing still", "not moving", "stays still", "at rest"),
}
_SIZES = {"small": ("small", "little", "small"), "large": ("large", "big", "large")}
_FORMS = (
    "a {thing} {move} on a {ground} background",
    "{thing} {move} on a {ground} background",
    "a {thing} {move} over a {ground} background",
    "on a {ground} background, a {thing} {move}",
    "a {thing} {move}, {ground} background",
    "{ground} background, a {thing} {move}",
)


def caption(scene: Scene, rng: random.Random, say_everything: bool = False) -> str:
    """Varied English for the scene; one time in five it leaves size or background unsaid."""
    size = rng.choice(_SIZES[scene.size])
    move = rng.choice(_MOVES[scene.motion])
    form = rng.choice(_FORMS)
    if not say_everything and rng.random() < 0.1:
        size = ""
    if not say_everything and rng.random() < 0.1:
        form = "a {thing} {move}"
    thing = " ".join(word for word in (size, scene.colour, scene.shape) if word)
    text = form.format(thing=thing, move=move, ground=scene.background)
    return text.capitalize() if rng.random() < 0.3 else text
