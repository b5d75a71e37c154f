"""Reads a clip back into the words of its scene: the measure of whether prompts steer the model.

Plain image processing over the rendering rules of `scenes.py`; no network, nothing trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fastflow_ray.training.scenes import COLOURS, MOTIONS, SHAPES, SIZE_PX, Scene, signed_distance

INK_THRESHOLD = 0.25  # distance in RGB from the background at which a pixel counts as the shape
HAZE = 0.2  # share of the contrast below which a pixel is ground
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
    difference = clip - ground.view(1, 3, 1, 1)
    seen = difference.square().sum(dim=1).sqrt() > INK_THRESHOLD
    if seen.flatten(1).sum(dim=1).min() < 12:
        return None
    ink = clip.transpose(1, 0)[:, seen].median(dim=1).values
    cover = _cover(difference, ink - ground)
    if cover.flatten(1).sum(dim=1).min() < 12:
        return None
    return Sighting(colour=_colour(ink), shape=_shape(cover), motion=_motion(cover))


def _cover(difference: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
    """How far each pixel is from the ground's colour to the ink's: (frames, 64, 64) in [0, 1]; faint haze is none."""
    along = (difference * contrast.view(1, 3, 1, 1)).sum(dim=1) / contrast.square().sum()
    return torch.where(along > HAZE, along, 0.0).clamp(0.0, 1.0)


def _colour(ink: torch.Tensor) -> str:
    """The palette's colour nearest to the median of the shape's pixels."""
    return min(COLOURS, key=lambda name: float((ink - torch.tensor(COLOURS[name])).square().sum()))


def _centres(cover: torch.Tensor) -> torch.Tensor:
    """Centre of the shape per frame: (frames, 2) as (x, y) in px."""
    pixel = torch.arange(SIZE_PX) + 0.5
    area = cover.sum(dim=(1, 2))
    return torch.stack([(cover.sum(1) * pixel).sum(1) / area, (cover.sum(2) * pixel).sum(1) / area], dim=1)


def _motion(cover: torch.Tensor) -> str:
    """Direction of the way from the first to the last frame."""
    centres = _centres(cover)
    way_x, way_y = (centres[-2:].mean(0) - centres[:2].mean(0)).tolist()
    if max(abs(way_x), abs(way_y)) < STILL_BELOW_PX:
        return "still"
    sideways = abs(way_x) > abs(way_y)
    way = (1 if way_x > 0 else -1, 0) if sideways else (0, 1 if way_y > 0 else -1)
    return next(name for name, direction in MOTIONS.items() if direction == way)


def _shape(cover: torch.Tensor) -> str:
    """The shape that, drawn with the same area and centre, overlaps best, over all frames."""
    return max(SHAPES, key=lambda shape: _overlap(shape, cover))


def _overlap(shape: str, cover: torch.Tensor) -> float:
    """Mean over frames of the intersection over union with the shape as `scenes.render` would draw it."""
    pixel = torch.arange(SIZE_PX) + 0.5
    unit_area = float((signed_distance(shape, *_unit_grid(), 1.0) < 0).float().mean()) * 16.0
    total = 0.0
    for frame, centre in zip(cover, _centres(cover), strict=True):
        radius = float(frame.sum()) ** 0.5 / unit_area**0.5
        x = (pixel - centre[0]).view(1, -1)
        # A triangle's centre of mass is not the origin of its outline.
        y = (pixel - centre[1]).view(-1, 1) + _centroid_y(shape) * radius
        ideal = (0.5 - signed_distance(shape, x, y, radius)).clamp(0.0, 1.0)
        total += float(torch.minimum(ideal, frame).sum()) / float(torch.maximum(ideal, frame).sum())
    return total / len(cover)


def _unit_grid() -> tuple[torch.Tensor, torch.Tensor]:
    """A fine grid over [-2, 2]² as (x, y)."""
    line = torch.linspace(-2.0, 2.0, 161)
    return line.view(1, -1), line.view(-1, 1)


def _centroid_y(shape: str) -> float:
    """Height of the centre of mass of the shape of radius 1."""
    x, y = _unit_grid()
    inside = (signed_distance(shape, x, y, 1.0) < 0).float()
    return float((inside * y).sum() / inside.sum())
