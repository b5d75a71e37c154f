"""One small stage for all tests of the room; what a test puts on its pipeline it takes off again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.loading import load_engine


@pytest.fixture(scope="session")
def stage(small_checkpoint: Path) -> Stage:
    engine = load_engine(str(small_checkpoint), device="cpu")
    card = replace(engine.card, width=32, height=16, frames=5)
    return Stage(DiffusersEngine(engine.pipe, card, engine.revision, engine.versions))


@pytest.fixture
def guided() -> Regime:
    return Regime(guidance=3.0, shift=5.0, steps=12)


@pytest.fixture
def unguided() -> Regime:
    return Regime(guidance=1.0, shift=5.0, steps=12)
