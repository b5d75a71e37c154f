"""What a step costs beside the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fastflow_ray.bench.overhead.overhead import JobOverhead, StepOverhead
from fastflow_ray.bench.overhead.report import FAST_FLOPS, Report
from fastflow_ray.bench.overhead.wan import LATENTS, Seconds, WanShape, block_seconds, evaluation_seconds, tokens_of
from fastflow_ray.bench.overhead.whole_job import WholeJob, whole_job
from fastflow_ray.bench.overhead.witness import MemoryWitness, WaitWitness
from fastflow_ray.cli import main

SMALL = WanShape(layers=2, heads=2, head_dim=24, ffn_dim=64, text_tokens=16)


def test_the_latents_are_cut_into_wans_tokens() -> None:
    assert tokens_of(LATENTS) == 32_760


def test_multiplications_are_those_that_torch_counts() -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        block_seconds(SMALL, 64, torch.device("cpu"))
    assert counter.get_total_flops() == SMALL.block_flops(64)


def test_an_evaluation_is_its_blocks_times_its_branches() -> None:
    whole = evaluation_seconds(SMALL, Seconds(wall=2.0, cpu=1.0), measured_tokens=64, tokens=64)
    assert whole == (8.0, 4.0)
    assert evaluation_seconds(SMALL, Seconds(2.0, 1.0), 64, 128).cpu > 8.0, "attention grows with the square"


def test_memory_is_what_is_alive_and_views_are_free() -> None:
    with MemoryWitness() as memory:
        kept = torch.ones(1000) + 1
        view = kept[::2]
        assert memory.alive == 4000 == kept.nbytes
        del kept, view
        assert memory.alive == 0
    assert memory.peak >= 8000, "both terms of the sum were there at once"


def test_reads_and_uploads_are_waits() -> None:
    x = torch.ones(3)
    with WaitWitness() as waiting:
        (x + 1).mul_(2)
        assert waiting.waits == 0
        float(x.sum())
        torch.tensor([1.0], device=x.device)
    assert waiting.waits == 2


def test_a_tiny_overhead_from_the_command_line(tmp_path: Path) -> None:
    words = [
        "bench-overhead",
        "--device",
        "cpu",
        "--tokens",
        "64",
        "--repeats",
        "1",
        "--shrink",
        "13",
        "--out",
        str(tmp_path),
    ]
    with pytest.raises(SystemExit) as leaving:
        main(words)
    assert not leaving.value.code
    told = json.loads((tmp_path / "overhead.json").read_text())
    assert [each["dtype"] for each in told["steps"]] == ["float32", "bfloat16"]
    assert all(each["step_waits"] <= 1 and each["share_of_evaluation"] < 0.01 for each in told["steps"])
    assert "over 64 tokens, extrapolated by multiplications to 168" in (tmp_path / "overhead.md").read_text()


def test_what_was_walked_is_held_against_an_evaluation_of_its_own_size() -> None:
    step = StepOverhead("float32", 19, 0.1, 0.0, 0.0, 0.2, 0.3, 0.02, 1.0, 1.0, 1, 2)
    block, job, shrunk = Seconds(2.0, 1.0), JobOverhead(0.1, 0.0, 0.0, 1, 1, 1), (1, 16, 21, 4, 8)
    report = Report(shrunk, [step], job, block, tokens_of(shrunk), torch.device("cpu"))
    assert report.evaluation == (2.0 * 30 * 2, 1.0 * 30 * 2)
    assert report.share(step) == pytest.approx(0.02 / 60)
    assert "over 168 tokens, × 30 blocks" in report.remarks()[0]
    peak_s = 30 * 2 * WanShape().block_flops(168) / FAST_FLOPS
    assert report.host_share_at_peak == pytest.approx((0.2 + 0.3) / 50 / peak_s)


def test_a_whole_job_runs_the_pipeline_stock_in_full_and_by_a_plan() -> None:
    job = whole_job(torch.device("cpu"), steps=8, evaluations=4, shape=SMALL, latents=(1, 16, 3, 4, 4))
    assert (job.steps, job.evaluated) == (8, 4)
    assert min(job.stock_s, job.in_full_s, job.planned_s) > 0


def test_overhead_is_what_is_left_of_a_planned_job_without_its_evaluations() -> None:
    job = WholeJob("cpu", "float32", 50, stock_s=100.0, in_full_s=101.0, planned_s=39.0, evaluated=19)
    assert job.overhead == pytest.approx((39 - 38) / 50 / 2)
