"""The embedded model is a real text-to-video model: it loads unchanged and prompts steer it."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import WanPipeline

from fastflow_ray.models.catalogue import EMBEDDED
from fastflow_ray.training.card import agreement, generate_clips, held_out_captions
from fastflow_ray.training.scenes import split_scenes
from fastflow_ray.training.shapes import HELD_OUT

FOLDER = EMBEDDED / "shapes"
LIMIT_BYTES = 15_000_000


@pytest.fixture(scope="module")
def pipe() -> WanPipeline:
    return WanPipeline.from_pretrained(FOLDER)


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_it_is_small_enough_to_live_here() -> None:
    assert size_bytes(FOLDER) < LIMIT_BYTES


def test_it_is_an_unchanged_wan_pipeline(pipe: WanPipeline) -> None:
    assert type(pipe) is WanPipeline
    assert type(pipe.scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"


@pytest.mark.timeout(300)
def test_prompts_steer_it(pipe: WanPipeline) -> None:
    """Colour, shape and motion, all three, in captions of scenes it never saw; by chance it would be 1 in 105."""
    _, held_out = split_scenes(HELD_OUT)
    clips = generate_clips(pipe, held_out_captions(held_out), steps=20)
    assert agreement(clips, held_out) >= 0.85


def test_the_detector_would_notice_a_model_that_ignores_prompts(pipe: WanPipeline) -> None:
    _, held_out = split_scenes(HELD_OUT)
    clips = generate_clips(pipe, held_out_captions(held_out)[:8], steps=12)
    assert agreement(clips, held_out[8:16]) < 0.2
