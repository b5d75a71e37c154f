"""On a GPU too, who goes on from a checkpoint makes the frames of who was never interrupted, bit for bit. How to run it
stands in `conftest.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from interruption import assert_same, nobody, stopped_after, taught

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.pace import Pace

pytestmark = pytest.mark.gpu
MakeSpec = Callable[..., GenerationSpec]
AUTO = {"acceleration": Acceleration.AUTO, "pace": Pace(evaluations=5)}
MODES = {"off": {}, "fastflow": {"acceleration": Acceleration.FASTFLOW}, "auto": AUTO}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frugal", [False, True], ids=["whole", "frugal"])
def test_interrupted_at_any_step_it_makes_the_same_frames(
    cuda_engine: DiffusersEngine, make_spec: MakeSpec, mode: str, frugal: bool
) -> None:
    spec = replace(make_spec(**MODES[mode]), frugal=frugal)
    statistics = taught(cuda_engine, spec, 3).take_delta()
    expected = cuda_engine.generate(spec, FastFlow(statistics=statistics), nobody)
    assert (expected.trace.skipped > 0) == (mode != "off")
    for step in range(1, spec.steps):
        checkpoint = stopped_after(cuda_engine, spec, FastFlow(statistics=statistics), step)
        made = cuda_engine.generate(spec, FastFlow(), nobody, resume=checkpoint)
        assert_same(made, expected)
        assert made.trace.resumed == [step]
