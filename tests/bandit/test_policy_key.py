"""Which generations share a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastflow_ray.bandit.policy_key import PolicyKey

KEY = PolicyKey("shapes", "r1", steps=50, shift=3.0, guidance=3.0, width=64, height=64, frames=17)


def test_its_text_is_stable_and_readable():
    assert str(KEY) == "shapes@r1:steps50:shift3:guidance3:64x64x17"
    assert str(replace(KEY, lora="ink")) == "shapes@r1:steps50:shift3:guidance3:64x64x17:lora=ink"


@pytest.mark.parametrize("guidance", [2.8, 3.0, 3.2])
def test_guidance_within_the_same_half_is_shared(guidance):
    assert str(replace(KEY, guidance=guidance)) == str(KEY)


def test_no_guidance_is_one_bucket():
    assert {replace(KEY, guidance=g).guidance_bucket for g in (0.0, 0.5, 1.0)} == {1.0}


@pytest.mark.parametrize(
    "other",
    [
        {"model": "wan"},
        {"revision": "r2"},
        {"steps": 49},
        {"shift": 3.5},
        {"guidance": 4.0},
        {"width": 80},
        {"height": 80},
        {"frames": 21},
        {"lora": "ink"},
    ],
)
def test_everything_else_separates(other):
    assert str(replace(KEY, **other)) != str(KEY)
