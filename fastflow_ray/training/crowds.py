"""Clips that teach an autoencoder quickly: several shapes at once, over ground of two colours.

A clip of `scenes.py` has one colour, one outline and one motion, so a step of training on it sees almost nothing.
"""

from __future__ import annotations

import math
import random

import torch

from fastflow_ray.training.scenes import BACKGROUNDS, COLOURS, FRAMES, MOTIONS, SHAPES, SIZE_PX, signed_distance

SHAPES_PER_CLIP = 4
Palette = dict[str, tuple[float, float, float]]


def crowded_clip(rng: random.Random, frames: int = FRAMES) -> torch.Tensor:
    """A random crowd: float32 (frames, 3, 64, 64) in [0, 1]."""
    clip = two_coloured_ground(rng).expand(frames, -1, -1, -1)
    for _ in range(SHAPES_PER_CLIP):
        cover = random_cover(rng, frames)
        clip = cover * random_colour(rng, COLOURS) + (1.0 - cover) * clip
    return clip


def random_colour(rng: random.Random, palette: Palette) -> torch.Tensor:
    """A colour near one of the palette's, or, three times in ten, any: (1, 3, 1, 1) in [0, 1]."""
    near = [channel + rng.gauss(0.0, 0.06) for channel in rng.choice(list(palette.values()))]
    anything = [rng.random() for _ in range(3)]
    return torch.tensor(anything if rng.random() < 0.3 else near).clamp(0.0, 1.0).view(1, 3, 1, 1)


def two_coloured_ground(rng: random.Random) -> torch.Tensor:
    """Two backgrounds that meet in a straight line: (1, 3, 64, 64)."""
    pixel = torch.arange(SIZE_PX) + 0.5 - SIZE_PX / 2
    angle = rng.uniform(0.0, math.tau)
    distance = pixel * math.cos(angle) + pixel.view(-1, 1) * math.sin(angle) + rng.uniform(-16.0, 16.0)
    side = (0.5 - distance).clamp(0.0, 1.0)
    return side * random_colour(rng, BACKGROUNDS) + (1.0 - side) * random_colour(rng, BACKGROUNDS)


def random_cover(rng: random.Random, frames: int) -> torch.Tensor:
    """How much of each pixel one moving shape covers: (frames, 1, 64, 64) in [0, 1]."""
    at = torch.linspace(-0.5, 0.5, frames)
    way_px, direction = rng.uniform(15.0, 36.0), rng.choice(list(MOTIONS.values()))
    centre_x = rng.uniform(6.0, SIZE_PX - 6.0) + at * way_px * direction[0]
    centre_y = rng.uniform(6.0, SIZE_PX - 6.0) + at * way_px * direction[1]
    pixel = torch.arange(SIZE_PX) + 0.5
    x, y = pixel.view(1, 1, -1) - centre_x.view(-1, 1, 1), pixel.view(1, -1, 1) - centre_y.view(-1, 1, 1)
    distance = signed_distance(rng.choice(SHAPES), x, y, rng.uniform(6.0, 14.0))
    return (0.5 - distance).clamp(0.0, 1.0).unsqueeze(1)
