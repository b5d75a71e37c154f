"""Reads a clip back into the words of its scene: the measure of whether prompts steer the model.

Plain image processing over the rendering rules of `scenes.py`; no network, nothing trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fastflow_ray.training.scenes import COLOURS, MOTIONS, SHAPES, SIZE_PX, Scene, signed_distance

INK_THRESHOLD = 0.25  # distance in RGB from the background at which a pixel counts as the shape
STILL_BELOW_PX = 8.0  # a centre that travels less stands still


@dataclass(frozen=True)
class Sighting:
    """What the clip was seen to show."""

    colour: str
    shape: str
    motion: str

    def agrees_with(self, scene: Scene) -> bool:
        """Colour, shape and motion all as the scene says."""
        return (self.colour, self.shape, self.motion) == (scene.colour, scene.shape, scene.motion)


def detect(clip: torch.Tensor) -> Sighting | None:
    """What a clip, float (frames, 3, 64, 64) in [0, 1], shows; None if it shows nothing but background."""
    ground = torch.cat([clip[..., 0, :], clip[..., -1, :]], dim=-1).transpose(0, 1).flatten(1).median(dim=1).values
    mask = (clip - ground.view(1, 3, 1, 1)).square().sum(dim=1).sqrt() > INK_THRESHOLD
    if mask.flatten(1).sum(dim=1).min() < 12:
        return None
    return Sighting(colour=_colour(clip, mask), shape=_shape(mask), motion=_motion(mask))


def _colour(clip: torch.Tensor, mask: torch.Tensor) -> str:
    """The palette's colour nearest to the median of the shape's pixels."""
    ink = clip.transpose(1, 0)[:, mask].median(dim=1).values
    return min(COLOURS, key=lambda name: float((ink - torch.tensor(COLOURS[name])).square().sum()))


def _centres(mask: torch.Tensor) -> torch.Tensor:
    """Centre of the shape per frame: (frames, 2) as (x, y) in px."""
    weight = mask.float()
    pixel = torch.arange(SIZE_PX) + 0.5
    area = weight.sum(dim=(1, 2))
    return torch.stack([(weight.sum(1) * pixel).sum(1) / area, (weight.sum(2) * pixel).sum(1) / area], dim=1)


def _motion(mask: torch.Tensor) -> str:
    """Direction of the way from the first to the last frame."""
    centres = _centres(mask)
    way_x, way_y = (centres[-2:].mean(0) - centres[:2].mean(0)).tolist()
    if max(abs(way_x), abs(way_y)) < STILL_BELOW_PX:
        return "still"
    sideways = abs(way_x) > abs(way_y)
    way = (1 if way_x > 0 else -1, 0) if sideways else (0, 1 if way_y > 0 else -1)
    return next(name for name, direction in MOTIONS.items() if direction == way)


def _shape(mask: torch.Tensor) -> str:
    """The shape whose outline of the same area and centre overlaps best, over all frames."""
    return max(SHAPES, key=lambda shape: _overlap(shape, mask))


def _overlap(shape: str, mask: torch.Tensor) -> float:
    """Mean over frames of the best intersection over union with the ideal shape of the mask's area."""
    pixel = torch.arange(SIZE_PX) + 0.5
    unit_area = float((signed_distance(shape, *_unit_grid(), 1.0) < 0).float().mean()) * 16.0
    total = 0.0
    for frame, centre in zip(mask, _centres(mask), strict=True):
        radius = float(frame.sum()) ** 0.5 / unit_area**0.5
        x = (pixel - centre[0]).view(1, -1)
        # A triangle's centre of mass is not the origin of its outline.
        offset = _centroid_y(shape) * radius
        y = (pixel - centre[1]).view(-1, 1) + offset
        ideal = signed_distance(shape, x, y, radius) < 0
        total += float((ideal & frame).sum()) / float((ideal | frame).sum())
    return total / len(mask)


def _unit_grid() -> tuple[torch.Tensor, torch.Tensor]:
    """A fine grid over [-2, 2]² as (x, y)."""
    line = torch.linspace(-2.0, 2.0, 161)
    return line.view(1, -1), line.view(-1, 1)


def _centroid_y(shape: str) -> float:
    """Height of the centre of mass of the shape of radius 1."""
    x, y = _unit_grid()
    inside = (signed_distance(shape, x, y, 1.0) < 0).float()
    return float((inside * y).sum() / inside.sum())
