"""Real CUDA. These tests are left out unless asked for; run them on a machine with a GPU, in about three minutes:

    python -m pytest -o addopts= -o filterwarnings=default -m gpu tests/gpu

in the repository's root. They need this package's metadata (`pip install --no-deps -e .`, or its egg-info beside it),
torch with CUDA, diffusers, transformers, accelerate with its psutil, safetensors, ftfy, pydantic, redis, boto3, numpy,
av and pytest; no Ray, no server and no network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cuda_shop import CudaShop

from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.models.loading import load_engine


@pytest.fixture(scope="session")
def cuda_engine() -> DiffusersEngine:
    """The embedded model on the GPU; whatever it does, it has room for all of it before a test says otherwise."""
    return load_engine("shapes", device="cuda")


@pytest.fixture
def make_spec() -> Callable[..., GenerationSpec]:
    """A clip of the embedded model's own size in a dozen steps."""

    def make(**changes: object) -> GenerationSpec:
        size = {"width": 64, "height": 64, "frames": 17, "fps": 8}
        numbers = {"steps": 12, "guidance": 3.0, "shift": 3.0, "seed": 7}
        words = {"prompt": "a small red circle moving left on a navy background", "negative_prompt": ""}
        return GenerationSpec(**(words | size | numbers | changes))  # type: ignore[arg-type]  # tests may say anything

    return make


@pytest.fixture
def shop(cuda_engine: DiffusersEngine, tmp_path: Path) -> CudaShop:
    """A worker with its queue and store; it has made one video, so that what CUDA keeps for good is there."""
    shop = CudaShop(cuda_engine, tmp_path / "store")
    shop.run(shop.submit(seed=1))
    cuda_engine.free()
    torch.cuda.reset_peak_memory_stats()
    return shop
