"""What people read when their job is wrong, and that nothing of what they sent comes back at them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.parsing import parse_job
from fastflow_ray.jobs.video_job import VideoJob


def complaint(**fields: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_job(fields)
    return str(caught.value)


def test_valid_fields_become_a_job() -> None:
    assert parse_job({"prompt": "a red circle", "frames": 17}) == VideoJob(prompt="a red circle", frames=17)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "prompt: the prompt is empty; describe the video in a few words"),
        ({"prompt": " \n"}, "prompt: the prompt is empty; describe the video in a few words"),
        ({"prompt": "x", "model": ""}, "model: the name is empty; name a model, or leave it out for shapes"),
        ({"prompt": "x", "model": " "}, "model: the name is empty; name a model, or leave it out for shapes"),
        (
            {"prompt": "x", "model": "../x"},
            "model: use 1 to 64 small English letters, digits, '.', '_' and '-', a letter or a digit first",
        ),
        ({"prompt": "x", "frames": 16}, "frames: 16 frames cannot be decoded; use 4k+1, such as 13 or 17"),
        ({"prompt": "x", "frames": 2}, "frames: 2 frames cannot be decoded; use 4k+1, such as 1 or 5"),
        ({"prompt": "x", "width": 50}, "width: 50 px is not a multiple of 16; use 48 or 64"),
        ({"prompt": "x", "height": 4096}, "height: too large; at most 2048"),
        ({"prompt": "x", "steps": 1}, "steps: too small; at least 4"),
        ({"prompt": "x", "acceleration": "warp"}, "acceleration: must be 'off', 'fastflow' or 'auto'"),
        ({"prompt": "x", "preset": "best"}, "preset: must be 'faithful', 'balanced' or 'fast'"),
        ({"prompt": "x", "evaluations": 1}, "evaluations: too small; at least 2"),
        ({"prompt": "x", "seed": 2**63}, "seed: too large; less than 9223372036854775808"),
        ({"prompt": "x", "evaluations": 201}, "evaluations: too large; at most 200"),
        ({"prompt": "x", "speedup": 0.5}, "speedup: too small; at least 1.0"),
        ({"prompt": "x", "speedup": float("inf")}, "speedup: must be a finite number"),
        ({"prompt": "x", "fidelity_db": 5}, "fidelity_db: too small; at least 10.0"),
        ({"prompt": "x", "fidelity_db": 90}, "fidelity_db: too large; at most 80.0"),
        ({"prompt": "x", "fidelity_db": 40, "confidence": 1}, "confidence: too large; at most 0.999"),
        (
            {"prompt": "x", "speedup": 2.6, "acceleration": "fastflow"},
            "speedup: it tells acceleration auto what to reach; with fastflow leave it out",
        ),
        (
            {"prompt": "x", "preset": "fast", "acceleration": "off"},
            "preset: it tells acceleration auto what to reach; with off leave it out",
        ),
        (
            {"prompt": "x", "speedup": 2.6, "preset": "fast"},
            "preset: speedup says already what to reach; give only one of the two",
        ),
        (
            {"prompt": "x", "speedup": 2.6, "confidence": 0.9},
            "confidence: it says how surely a fidelity_db is kept; give that too, or leave it out",
        ),
        ({"prompt": "x", "frame": 17}, "frame: no such field; did you mean frames?"),
        ({"prompt": "x", "zzz": 17}, "zzz: no such field"),
        ({"prompt": "x", "tenant": "a b"}, "tenant: use 1 to 64 English letters, digits, '.', '_' and '-'"),
        ({"prompt": "x", "seed": 1.5}, "seed: must be a whole number"),
        ({"prompt": "x", "seed": "seven"}, "seed: must be a whole number"),
        ({"prompt": "x", "seed": []}, "seed: must be a whole number"),
        ({"prompt": "x", "speedup": "fast"}, "speedup: must be a number"),
        ({"prompt": "x", "audit": "perhaps"}, "audit: must be true or false"),
        ({"prompt": 7}, "prompt: must be text"),
        ({"prompt": "x", "guidance": float("nan")}, "guidance: must be a finite number"),
    ],
)
def test_a_wrong_field_gets_one_line_with_its_remedy(fields: dict[str, object], line: str) -> None:
    assert complaint(**fields) == line


def test_all_wrong_fields_are_named_at_once() -> None:
    assert complaint(prompt="", frames=16).split("; ")[0].startswith("prompt: ")
    assert "frames: 16 frames" in complaint(prompt="", frames=16)


def test_a_huge_prompt_is_measured_and_not_echoed() -> None:
    assert complaint(prompt="x" * 100_000) == "prompt: too long; at most 2000 characters"


def test_unknown_fields_neither_flood_nor_break_the_line() -> None:
    line = complaint(prompt="x", **{f"field\n{'y' * 10_000}{n}": n for n in range(100)})
    assert "\n" not in line
    assert line.endswith("; and 92 more")
    assert len(line) < 1_000


@settings(max_examples=30)
@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()))
def test_whatever_is_sent_without_a_prompt_gets_one_short_line(fields: dict[str, object]) -> None:
    line = complaint(**{**fields, "prompt": ""})
    assert 0 < len(line) < 2_000
    assert len(line.splitlines()) == 1
