"""How much work a job is, by its model's card alone."""

from __future__ import annotations

import pytest

from fastflow_ray.errors import UnknownModel
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.admission import relative_work


@pytest.mark.parametrize(
    ("fields", "work"),
    [
        ({}, 1.0),
        ({"width": 64, "frames": 17}, 1.0),
        ({"width": 128, "height": 128}, 4.0),
        ({"steps": 25}, 0.5),
        ({"frames": 33, "steps": 100}, 33 / 17 * 2),
        ({"model": "wan2.1-t2v-1.3b", "width": 416}, 0.5),
    ],
)
def test_work_is_counted_in_the_models_usual_videos(fields: dict[str, object], work: float) -> None:
    assert relative_work(VideoJob(prompt="x", **fields)) == pytest.approx(work)


def test_the_work_of_a_model_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(UnknownModel):
        relative_work(VideoJob(prompt="x", model="nobody"))
