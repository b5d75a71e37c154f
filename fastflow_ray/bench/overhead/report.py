"""The overhead in words and numbers. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fastflow_ray.bench.overhead.overhead import STEPS, JobOverhead, StepOverhead
from fastflow_ray.bench.overhead.wan import Seconds, WanShape, evaluation_seconds, tokens_of
from fastflow_ray.bench.overhead.whole_job import WholeJob
from fastflow_ray.bench.result_files import save
from fastflow_ray.bench.table import Grid

MOST_SHARE, MOST_LATENTS, MOST_WAITS = 0.01, 4.0, 1  # what was promised
FAST_FLOPS = 1e15  # per second: about the peak of the fastest single GPU of 2024 in bfloat16, which no model reaches


@dataclass(frozen=True)
class Report:
    """What was measured, and what follows from it."""

    shape: Sequence[int]  # of the latents
    steps: Sequence[StepOverhead]
    job: JobOverhead
    block: Seconds  # one of Wan's, over `block_tokens`
    block_tokens: int
    device: torch.device
    whole: WholeJob | None = None  # where it was asked for

    @property
    def evaluation(self) -> Seconds:
        """One step's, both branches, over all tokens of the latents that were walked."""
        return evaluation_seconds(WanShape(), self.block, self.block_tokens, tokens_of(self.shape))

    @property
    def host_share_at_peak(self) -> float:
        """What drawing up the plan and learning, which stay on the CPU, would be of a step's evaluation on a GPU that
        reached `FAST_FLOPS`."""
        wan, host_s = WanShape(), max(each.job_begin_s + each.job_end_s for each in self.steps) / STEPS
        flops = wan.block_flops(tokens_of(self.shape)) * wan.layers * wan.branches
        return host_s / (flops / FAST_FLOPS)

    def share(self, each: StepOverhead) -> float:
        """Of a step's evaluation; on a CPU by processor time, which is the less of the two clocks."""
        return each.mean_step_s / self.evaluation.on(self.device)

    def grid(self) -> Grid:
        """A row per figure, a column per dtype."""
        header = ["beyond the stock scheduler", *(each.dtype for each in self.steps), "at most"]
        rows = [
            ["evaluated steps", *(f"{each.evaluated} of {STEPS}" for each in self.steps), ""],
            ["(the stock scheduler's own step)", *(_ms(each.stock_step_s) for each in self.steps), ""],
            ["a skipped step", *(_ms(each.skipped_step_s) for each in self.steps), ""],
            ["an evaluated step", *(_ms(each.evaluated_step_s) for each in self.steps), ""],
            ["first step: plan drawn up", *(_ms(each.job_begin_s) for each in self.steps), ""],
            ["last step: learning", *(_ms(each.job_end_s) for each in self.steps), ""],
            ["per step, all in all", *(_ms(each.mean_step_s) for each in self.steps), ""],
            ["… of a full evaluation", *(f"{self.share(each):.5%}" for each in self.steps), f"{MOST_SHARE:.0%}"],
            ["latents held, float32", *(f"{each.held_latents:.2f}" for each in self.steps), f"{MOST_LATENTS:g}"],
            ["latents at the peak", *(f"{each.peak_latents:.2f}" for each in self.steps), ""],
            ["waits for the device in a step", *(f"{each.step_waits}" for each in self.steps), f"{MOST_WAITS}"],
            ["… in the first and the last", *(f"{each.job_waits}" for each in self.steps), ""],
        ]
        return Grid(f"Overhead at latents of {'×'.join(map(str, self.shape))}", header, rows)

    def remarks(self) -> list[str]:
        """A line each: the evaluation, the fleet's side, a fast GPU."""
        wan, whole, job = WanShape(), tokens_of(self.shape), self.job
        how = "" if self.block_tokens == whole else f", extrapolated by multiplications to {whole:,}"
        return [
            f"a full evaluation: one block of Wan 2.1 1.3B over {self.block_tokens:,} tokens{how},"
            f" × {wan.layers} blocks × {wan.branches} branches: {self.evaluation.cpu:,.4g} s of processor time,"
            f" {self.evaluation.wall:,.4g} s by the clock",
            f"planning: {_ms(job.plan_cold_s)} from a fresh book, {_ms(job.plan_cached_s)} asked again;"
            f" a report merged in {_ms(job.merge_s)}; JSON: report {job.delta_bytes:,} B,"
            f" snapshot {job.snapshot_bytes:,} B, plan {job.plan_bytes:,} B",
            f"first and last step spread over {STEPS}: {self.host_share_at_peak:.2%} of a full evaluation on a GPU that"
            f" made {FAST_FLOPS:.0e} multiplications and additions per second (computed, not measured)",
            *([] if self.whole is None else [_of_whole(self.whole)]),
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "latents": list(self.shape),
            "steps": [{**asdict(each), "share_of_evaluation": self.share(each)} for each in self.steps],
            "job": asdict(self.job),
            "block_s": self.block._asdict(),
            "block_tokens": self.block_tokens,
            "evaluation_s": self.evaluation._asdict(),
            "host_share_at_peak": self.host_share_at_peak,
            "whole_job": None if self.whole is None else {**asdict(self.whole), "overhead": self.whole.overhead},
        }


def write(folder: Path, report: Report, facts: Mapping[str, Any]) -> None:
    """Leave `overhead.json` and `overhead.md`; raises FastFlowError if one cannot be written."""
    sections = [
        f"`{facts['command']}`",
        report.grid().to_markdown(),
        "\n".join(f"- {each}" for each in report.remarks()),
    ]
    save(folder, "overhead", {**facts, **report.to_dict()}, sections)


def _of_whole(job: WholeJob) -> str:
    return (
        f"a whole job of {job.steps} steps on {job.device}, {job.dtype}, random weights: stock {job.stock_s:.1f} s;"
        f" attached in full {job.in_full_s:.1f} s; {job.evaluated} evaluated {job.planned_s:.1f} s,"
        f" {job.stock_s / job.planned_s:.2f} x as fast: {job.overhead:.2%} of an evaluation per step beside the network"
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
