"""Rendering, captions and the detector agree with one another."""

from __future__ import annotations

import random

import pytest
import torch

from fastflow_ray.training.detector import detect
from fastflow_ray.training.scenes import (
    BACKGROUNDS,
    COLOURS,
    FRAMES,
    SIZE_PX,
    Scene,
    caption,
    every_scene,
    random_path,
    render,
    split_scenes,
)


def rendered(scene: Scene, seed: int = 0) -> torch.Tensor:
    return render(scene, random_path(scene, random.Random(seed)))


def test_a_clip_has_the_documented_form() -> None:
    clip = rendered(every_scene()[0])
    assert clip.shape == (FRAMES, 3, SIZE_PX, SIZE_PX)
    assert clip.dtype == torch.float32
    assert clip.min() >= 0.0
    assert clip.max() <= 1.0


def test_the_detector_reads_back_what_was_rendered() -> None:
    rng = random.Random(1)
    for scene in rng.sample(every_scene(), 100):
        clip = render(scene, random_path(scene, rng))
        noisy = (clip + 0.03 * torch.randn(clip.shape, generator=torch.Generator().manual_seed(2))).clamp(0, 1)
        sighting = detect(noisy)
        assert sighting is not None
        assert sighting.agrees_with(scene), (scene, sighting)


@pytest.mark.parametrize(
    "other",
    [
        Scene("large", "green", "circle", "left", "navy"),
        Scene("large", "red", "square", "left", "navy"),
        Scene("large", "red", "circle", "up", "navy"),
    ],
)
def test_the_detector_disagrees_with_another_scene(other: Scene) -> None:
    sighting = detect(rendered(Scene("large", "red", "circle", "left", "navy")))
    assert sighting is not None
    assert not sighting.agrees_with(other)


def test_the_detector_sees_nothing_in_plain_background() -> None:
    assert detect(torch.full((FRAMES, 3, SIZE_PX, SIZE_PX), 0.4)) is None


def test_the_whole_shape_stays_in_the_picture() -> None:
    rng = random.Random(3)
    for scene in every_scene():
        clip = render(scene, random_path(scene, rng))
        edges = torch.cat([clip[..., 0, :], clip[..., -1, :], clip[..., :, 0], clip[..., :, -1]], dim=-1)
        ground = torch.tensor(BACKGROUNDS[scene.background]).view(1, 3, 1)
        assert torch.allclose(edges, ground.expand_as(edges), atol=1e-3), scene


def test_captions_name_the_scene_and_vary() -> None:
    rng = random.Random(4)
    scene = Scene("small", "purple", "triangle", "down", "teal")
    captions = {caption(scene, rng, say_everything=True).lower() for _ in range(200)}
    assert len(captions) > 20
    assert all("purple" in text and "triangle" in text and "teal" in text for text in captions)


def test_held_out_scenes_are_never_trained_on() -> None:
    train, held_out = split_scenes(40)
    assert len(held_out) == 40
    assert not set(train) & set(held_out)
    assert {scene.colour for scene in held_out} == set(COLOURS)
    assert {scene.background for scene in held_out} == set(BACKGROUNDS)
