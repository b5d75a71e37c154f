"""Memory that runs out, comes back, and a GPU that is lost. How to run it stands in `conftest.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from cuda_shop import MIB, CudaShop, at_most

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.engine import GenerationSpec

pytestmark = pytest.mark.gpu
MakeSpec = Callable[..., GenerationSpec]
LARGE = {
    "width": 1024,
    "height": 1024,
    "frames": 5,
    "steps": 4,
}  # decoded whole, it takes several times its tiles' room
CRUMBS = 4096  # bytes that a pipeline keeps of a call that was ended, such as its present timestep
ECONOMIES = ("offload", "tiling")

# A worker in a process of its own whose third step ends in an assertion inside a kernel.
SABOTAGE = """
import json, sys
from pathlib import Path
import torch
sys.path.insert(0, "tests/gpu")
from cuda_shop import CudaShop
from fastflow_ray.errors import DeviceLost
from fastflow_ray.models.loading import load_engine

shop = CudaShop(load_engine("shapes", device="cuda"), Path(sys.argv[1]))
first, second = shop.submit(), shop.submit(seed=8)

def interfere(report, on_step):
    if report.step == 3:
        torch.zeros(2, device="cuda")[torch.tensor([5], device="cuda")].sum()
        torch.cuda.synchronize()

shop.interfere = interfere
try:
    shop.run(first)
    left = None
except DeviceLost as error:
    left = str(error)
records = [shop.queue.get(job_id) for job_id in (first, second)]
print(json.dumps({"left": left, "states": [one.state for one in records], "error": records[0].error}))
"""


def frames(engine: DiffusersEngine, spec: GenerationSpec) -> np.ndarray:
    return engine.generate(spec, FastFlow(), lambda report: None).frames


def needs(engine: DiffusersEngine, spec: GenerationSpec) -> tuple[int, int]:
    """Bytes in use at the worst moment of one generation, weights included, and bytes taken from the device for it."""
    engine.free()
    torch.cuda.reset_peak_memory_stats()
    frames(engine, spec)
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


@pytest.mark.parametrize("step", [1, 6])
def test_a_cancelled_job_leaves_no_memory_behind(
    shop: CudaShop, cuda_engine: DiffusersEngine, make_spec: MakeSpec, step: int
) -> None:
    before, video = torch.cuda.memory_allocated(), frames(cuda_engine, make_spec())
    job_id = shop.submit(width=256, height=256)
    shop.cancel_at(step, job_id)
    assert shop.run(job_id).state is JobState.CANCELLED
    assert torch.cuda.max_memory_allocated() > before + MIB, "it had taken some"
    assert torch.cuda.memory_allocated() <= before + CRUMBS
    assert np.array_equal(frames(cuda_engine, make_spec()), video), "the next one is unharmed"


def test_a_job_that_does_not_fit_is_made_frugally(
    shop: CudaShop, cuda_engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    whole, _ = needs(cuda_engine, make_spec(**LARGE))
    _, tiled = needs(cuda_engine, make_spec(**LARGE, frugal=True))
    assert whole > 1.5 * tiled
    video = frames(cuda_engine, make_spec())
    cuda_engine.free()
    before = torch.cuda.memory_allocated()
    job_id = shop.submit(**LARGE)
    with at_most(1.1 * tiled + 16 * MIB):
        record = shop.run(job_id)
    assert (record.state, record.attempts) == (JobState.SUCCEEDED, 1)
    assert shop.manifest(job_id).economies == ECONOMIES
    next_id = shop.submit()
    assert shop.run(next_id).state is JobState.SUCCEEDED
    assert shop.manifest(next_id).economies == ()
    cuda_engine.free()
    assert torch.cuda.memory_allocated() <= before + CRUMBS
    assert np.array_equal(frames(cuda_engine, make_spec()), video), "the next one is unharmed"


def test_a_job_that_fits_in_no_way_is_dead_and_the_next_one_runs(
    shop: CudaShop, cuda_engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    before, video = torch.cuda.memory_allocated(), frames(cuda_engine, make_spec())
    _, small = needs(cuda_engine, make_spec())
    job_id, next_id = shop.submit(**LARGE), shop.submit()
    with at_most(small + 16 * MIB):
        record = shop.run(job_id)
        assert record.error is not None
        assert (record.state, record.error["code"], record.attempts) == (JobState.DEAD, "oom", 1)
        assert shop.run(next_id).state is JobState.SUCCEEDED
    cuda_engine.free()
    assert torch.cuda.memory_allocated() <= before + CRUMBS
    assert np.array_equal(frames(cuda_engine, make_spec()), video)


def test_offloaded_the_frames_are_the_same_bit_for_bit_with_skips_and_without(
    cuda_engine: DiffusersEngine, make_spec: MakeSpec
) -> None:
    """A clip smaller than a tile is decoded whole, so that nothing but the offloading differs."""
    for acceleration in (Acceleration.OFF, Acceleration.FASTFLOW):
        videos = []
        for frugal in (False, True):
            fastflow = FastFlow()
            spec = make_spec(acceleration=acceleration, frugal=frugal)
            made = [cuda_engine.generate(spec, fastflow, lambda report: None) for _ in range(4)]
            videos.append(made[-1].frames)
            assert made[-1].economies == (ECONOMIES if frugal else ())
        assert (made[-1].trace.skipped > 0) == (acceleration is Acceleration.FASTFLOW), (
            "the gates work under offloading"
        )
        assert np.array_equal(*videos)


def test_a_lost_gpu_ends_the_worker_and_the_job_is_tried_again_elsewhere(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    command = [sys.executable, "-c", SABOTAGE, str(tmp_path_factory.mktemp("store"))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["left"] is not None, "it went on with a GPU that computes nothing"
    assert told["states"] == ["delayed", "queued"]
    assert told["error"]["code"] == "device_lost"
    assert "computes nothing any more" in told["error"]["message"]
