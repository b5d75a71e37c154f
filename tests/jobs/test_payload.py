"""Jobs survive the journey as text; anything else is refused as corrupt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.errors import CorruptPayload
from fastflow_ray.jobs.payload import read_job, write_job
from fastflow_ray.jobs.video_job import VideoJob

jobs = st.builds(
    VideoJob,
    prompt=st.text(min_size=1, max_size=50).filter(str.strip),
    frames=st.none() | st.integers(0, 64).map(lambda k: 4 * k + 1),
    width=st.none() | st.integers(1, 128).map(lambda k: 16 * k),
    guidance=st.none() | st.floats(0, 30),
    seed=st.none() | st.integers(0, 2**63 - 1),
    acceleration=st.sampled_from(Acceleration),
    priority=st.integers(0, 255),
)


@given(jobs)
def test_a_job_comes_back_as_it_went(job: VideoJob) -> None:
    assert read_job(write_job(job)) == job


def test_a_job_queued_before_acceleration_had_more_words_still_means_the_same() -> None:
    old = (
        '{"prompt":"x","negative_prompt":"","model":"shapes","seed":7,"acceleration":"fastflow","audit":false,'
        '"priority":100,"tenant":"default","max_attempts":3}'
    )
    job = read_job(old)
    assert (job.acceleration, job.audit) == (Acceleration.FASTFLOW, False)
    assert write_job(job) == old


def test_what_the_model_decides_is_left_out() -> None:
    assert "frames" not in write_job(VideoJob(prompt="x"))


@pytest.mark.parametrize(
    "payload", ["", "{", "null", "[]", '{"prompt":""}', '{"prompt":"x","frames":16}', "\ufffd\x00"]
)
def test_anything_else_is_corrupt(payload: str) -> None:
    with pytest.raises(CorruptPayload, match="submit it again"):
        read_job(payload)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(payload: str) -> None:
    with pytest.raises(CorruptPayload):
        read_job(payload)
