"""Settling a request: what was asked stays, what was left open comes from the model's card."""

from __future__ import annotations

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.catalogue import model_card
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.models.request import settle
from fastflow_ray.pace import Pace


def test_gaps_are_filled_from_the_card() -> None:
    spec = settle(VideoJob(prompt="a red circle"), model_card("shapes"), seed=11)
    assert spec == GenerationSpec(
        "a red circle", "", 64, 64, 17, 8, 50, 3.0, 3.0, 11,
        Acceleration.AUTO, Pace(speedup=2.6)
    )  # fmt: skip


def test_what_was_asked_stays_even_where_it_is_zero() -> None:
    job = VideoJob(
        prompt="p", negative_prompt="n", width=32, height=48, frames=5, fps=4, steps=9, guidance=0.0, shift=1.5, seed=0,
        evaluations=5
    )  # fmt: skip
    assert settle(job, model_card("shapes"), seed=11) == GenerationSpec(
        "p", "n", 32, 48, 5, 4, 9, 0.0, 1.5, 0, Acceleration.AUTO, Pace(evaluations=5)
    )
