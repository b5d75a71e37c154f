"""One small engine for all tests of the room: none of them may change its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.models.loading import load_engine


@pytest.fixture(scope="session")
def engine(small_checkpoint: Path) -> DiffusersEngine:
    return load_engine(str(small_checkpoint), device="cpu")


@pytest.fixture
def make_spec() -> Callable[..., GenerationSpec]:
    """A video that takes a fraction of a second."""

    def make(**changes: object) -> GenerationSpec:
        size = {"width": 32, "height": 16, "frames": 5, "fps": 8}
        numbers = {"steps": 12, "guidance": 3.0, "shift": 5.0, "seed": 7}
        words = {"prompt": "a red circle", "negative_prompt": "blurred"}
        return GenerationSpec(**(words | size | numbers | changes))  # type: ignore[arg-type]  # tests may say anything

    return make
