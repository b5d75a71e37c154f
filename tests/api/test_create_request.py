"""What a request becomes, under every name the field uses; no server is needed to say so."""

import pytest

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.pace import pace_fields
from orchestration.api.create_request import create_request, frames_of
from orchestration.api.errors import Refusal


def refusal(**fields: object) -> Refusal:
    with pytest.raises(Refusal) as refused:
        create_request(fields)
    assert refused.value.status == 400
    return refused.value


def test_the_names_of_other_servers_are_ours():
    asked = create_request(
        {
            "prompt": "a ship",
            "model": "shapes",
            "size": "128x96",
            "num_inference_steps": "20",
            "guidance_scale": 4.5,
            "negative_prompt": "fog",
            "num_frames": 33,
            "fps": "8",
            "flow_shift": 5,
            "seed": 7,
            "acceleration": "off",
            "audit": "true",
            "priority": 200,
        }
    )
    job = asked.job
    assert (job.width, job.height, job.frames, job.fps, job.steps) == (128, 96, 33, 8, 20)
    assert (job.guidance, job.shift, job.seed, job.negative_prompt) == (4.5, 5.0, 7, "fog")
    assert (job.acceleration, job.audit, job.priority) == (Acceleration.OFF, True, 200)
    assert asked.warnings == ()


@pytest.mark.parametrize(
    ("fields", "pace"),
    [
        ({}, {"speedup": 2.6}),
        ({"preset": "fast"}, {"preset": "fast", "fidelity_db": 30.0, "confidence": 0.95}),
        ({"speedup": "2.6"}, {"speedup": 2.6}),
        ({"extra_body": {"evaluations": "19"}}, {"evaluations": 19}),
        ({"fidelity_db": 40, "extra_body": {"confidence": 0.9}}, {"fidelity_db": 40.0, "confidence": 0.9}),
        ({"acceleration": "fastflow"}, None),
    ],
)
def test_how_much_may_be_skipped_is_asked_for(fields: dict[str, object], pace: dict[str, object] | None):
    asked = create_request({"prompt": "a ship", **fields})
    assert pace_fields(asked.job) == pace
    assert asked.warnings == ()


@pytest.mark.parametrize("extra", [{"seed": 3, "steps": 12}, '{"seed": 3, "steps": 12}'])
def test_extra_body_counts_like_the_top_level_and_wins(extra: object):
    job = create_request({"prompt": "a ship", "seed": 1, "extra_body": extra}).job
    assert (job.seed, job.steps) == (3, 12)


def test_what_nobody_reads_is_named():
    asked = create_request({"prompt": "a ship", "enable_teacache": True, "extra_body": {"guidance_scale_2": 1}})
    assert [warning.split()[2] for warning in asked.warnings] == ["'enable_teacache'", "'guidance_scale_2'"]


def test_an_extra_body_within_the_extra_body_is_ignored_with_a_warning():
    asked = create_request({"prompt": "a ship", "extra_body": {"fps": 16, "extra_body": {"seed": 9}}})
    assert (asked.job.fps, asked.warnings) == (16, ("unknown field 'extra_body' is ignored",))


def test_null_counts_as_left_out():
    asked = create_request({"prompt": "a ship", "seed": None, "input_reference": None, "extra_body": None, "x": None})
    assert asked.job.seed is None
    assert asked.warnings == ()


@pytest.mark.parametrize(
    ("duration_s", "fps", "frames"), [(4, 8, 33), (5, 16, 81), (1, 8, 9), (1.1, 8, 9), (0.1, 8, 1), (2, 15, 33)]
)
def test_seconds_become_frames_that_can_be_decoded(duration_s: float, fps: int, frames: int):
    assert frames_of(duration_s, fps) == frames


def test_seconds_follow_the_rate_asked_for_or_the_model_s_own():
    assert create_request({"prompt": "a ship", "seconds": "4"}).job.frames == 33
    assert create_request({"prompt": "a ship", "seconds": 4, "fps": 16}).job.frames == 65


def test_rounded_seconds_are_stated():
    (warning,) = create_request({"prompt": "a ship", "seconds": 1.1}).warnings
    assert warning.startswith("seconds was rounded to 1: 9 frames at 8 fps")


def test_frames_outdo_seconds_and_say_so():
    asked = create_request({"prompt": "a ship", "seconds": 4, "num_frames": 17})
    assert asked.job.frames == 17
    assert asked.warnings == ("seconds is ignored, for num_frames says how long the video is",)


@pytest.mark.parametrize("size", ["128x96", "128X96", "128×96"])
def test_a_size_is_written_with_either_x_or_a_cross(size):
    job = create_request({"prompt": "a ship", "size": size}).job
    assert (job.width, job.height) == (128, 96)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "x", "num_frames": 16}, "num_frames"),
        ({"prompt": "x", "size": "100x64"}, "size"),
        ({"prompt": "x", "size": "large"}, "size"),
        ({"prompt": "x", "size": "64x64", "width": 128}, "size"),
        ({"prompt": "x", "seconds": "soon"}, "seconds"),
        ({"prompt": "x", "seconds": 0}, "seconds"),
        ({"prompt": "x", "seconds": float("nan")}, "seconds"),
        ({"prompt": "x", "seconds": 1000}, "seconds"),
        ({"prompt": "x", "guidance_scale": 99}, "guidance_scale"),
        ({"prompt": "x", "steps": 8, "num_inference_steps": 9}, "num_inference_steps"),
        ({"prompt": "x", "acceleration": "magic"}, "acceleration"),
        ({"prompt": "x", "acceleration": "off", "speedup": 2}, "speedup"),
        ({"prompt": "x", "evaluations": 19, "speedup": 2}, "speedup"),
        ({"prompt": "x", "confidence": 0.9}, "confidence"),
        ({"prompt": "x", "evaluations": 60}, "evaluations"),
        ({"prompt": "x", "num_inference_steps": 10, "speedup": 8}, "speedup"),
        ({"prompt": "x", "model": "sora-2"}, "model"),
        ({"prompt": "x", "input_reference": {"image_url": "http://169.254.169.254/"}}, "input_reference"),
        ({"prompt": "x", "extra_body": "{"}, "extra_body"),
        ({"prompt": "x", "extra_body": [1]}, "extra_body"),
    ],
)
def test_a_refusal_names_the_field_as_the_client_wrote_it(fields: dict[str, object], param: str):
    refused = refusal(**fields)
    assert refused.param == param
    assert refused.message.startswith(f"{param}: ") or param == "model" or "ask for" in refused.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": "1280x720"}, "size: too large for shapes; at most 1024"),
        ({"num_frames": 257}, "num_frames: too large for shapes; at most 253"),
        ({"seconds": 32, "fps": 8}, "seconds: 32 s at 8 fps are 257 frames, too large for shapes; at most 253"),
    ],
)
def test_more_than_the_model_can_take_is_refused(fields: dict[str, object], words: str):
    refused = refusal(prompt="a ship", model="shapes", **fields)
    assert (refused.message, refused.param) == (words, next(iter(fields)))
    assert create_request({"prompt": "a ship", "model": "wan2.1-t2v-1.3b", "size": "1280x720"}).job.width == 1280


def test_a_refusal_says_the_remedy():
    assert "use 4k+1, such as 13 or 17" in refusal(prompt="x", num_frames=16).message
    assert "1000 s at 8 fps are 8,001 frames" in refusal(prompt="x", seconds=1000).message
    assert "shapes" in refusal(prompt="x", model="sora-2").message


def test_the_first_seed_that_is_too_large_is_told_to_the_last_digit():
    assert "less than 9223372036854775808" in refusal(prompt="x", seed=2**63).message
