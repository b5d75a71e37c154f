"""One dtype's figures: a pipeline walked as it comes and under `FastFlow.attach`, and the difference between them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bench.overhead.bare_pipeline import BarePipeline
from fastflow_ray.bench.overhead.witness import MemoryWitness, WaitWitness
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.planning.plan_book import PlanBook
from fastflow_ray.sampling.grid import flow_sigmas

KEY = "overhead"
STEPS, SHIFT, EVALUATIONS = 50, 3.0, 19
FRESH_BOOKS = 5  # plans drawn up from nothing, of which the median counts
TAUGHT = 4  # jobs learnt from before, audits among them, so that every candidate has a record to be looked at


@dataclass(frozen=True)
class StepOverhead:
    """What stands beside the network in one planned job of N steps, beyond what the stock scheduler does."""

    dtype: str
    evaluated: int  # steps
    stock_step_s: float  # guidance and the stock scheduler's step
    skipped_step_s: float  # beyond that, median
    evaluated_step_s: float  # beyond that, median
    job_begin_s: float  # in the first step: statistics copied, the plan drawn up
    job_end_s: float  # in the last step: statistics learnt
    mean_step_s: float  # all of it, over N
    held_latents: float  # float32 latents alive between steps, beyond the stock pipeline's
    peak_latents: float  # the same within a step
    step_waits: int  # most reads of the device in one step, the first and the last left out
    job_waits: int  # in the first step and the last


@dataclass(frozen=True)
class JobOverhead:
    """What planning and telling the fleet cost, whatever the size of the latents."""

    plan_cold_s: float  # from a fresh book, median
    plan_cached_s: float
    merge_s: float  # one report into the fleet's statistics, from JSON to JSON
    delta_bytes: int
    snapshot_bytes: int
    plan_bytes: int


def taught(dtype: torch.dtype, jobs: int = TAUGHT) -> FastFlow:
    """One that has learnt from jobs of a few numbers each, as a network of that dtype makes them."""
    fastflow, pipe = FastFlow(), BarePipeline(STEPS, SHIFT, torch.device("cpu"))
    for job in range(jobs):
        noise = torch.randn(1, 1024, generator=torch.Generator().manual_seed(job))
        fastflow.sample(
            lambda x, sigma: pipe.guided(x.to(dtype), sigma),
            noise,
            flow_sigmas(STEPS, SHIFT),
            KEY,
            evaluations=EVALUATIONS,
        )
    return fastflow


def step_overhead(shape: Sequence[int], dtype: torch.dtype, repeats: int, device: torch.device) -> StepOverhead:
    """Walk noise of that shape and dtype, stock and planned in turn, `repeats` times for the clock."""
    pipe, fastflow = BarePipeline(STEPS, SHIFT, device), taught(dtype)
    noise = torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0)).to(device, dtype)
    stock: list[list[float]] = []
    ours: list[list[float]] = []
    for _ in range(repeats):
        stock.append(_timed(pipe, noise))
        with fastflow.attach(pipe, KEY, evaluations=EVALUATIONS) as attachment:
            ours.append(_timed(pipe, noise))
        evaluated = attachment.trace.evaluated
    stock_step = median(seconds for walk in stock for seconds in walk[1:-1])
    extra = [median(steps) - stock_step for steps in zip(*ours, strict=True)]
    inner = range(1, STEPS - 1)
    memory, waits = _witnessed(pipe, noise, fastflow)
    return StepOverhead(
        dtype=str(dtype).removeprefix("torch."),
        evaluated=len(evaluated),
        stock_step_s=stock_step,
        skipped_step_s=median(extra[step] for step in inner if step not in evaluated),
        evaluated_step_s=median(extra[step] for step in inner if step in evaluated),
        job_begin_s=extra[0],
        job_end_s=extra[-1],
        mean_step_s=sum(extra) / STEPS,
        held_latents=memory[0],
        peak_latents=memory[1],
        step_waits=max(waits[1:-1]),
        job_waits=waits[0] + waits[-1],
    )


def job_overhead() -> JobOverhead:
    """Of one more job on top of what `TAUGHT` taught."""
    fastflow = taught(torch.float32)
    table = fastflow.statistics.trajectories[KEY]
    sigmas = flow_sigmas(STEPS, SHIFT).double().numpy()
    book = PlanBook(table, sigmas)
    snapshot = fastflow.statistics.to_json()
    delta = taught(torch.float32, jobs=1).take_delta().to_json()
    ledger = Ledger(Statistics.from_json(snapshot))
    cold_s = median(_seconds(lambda: PlanBook(table, sigmas).served(EVALUATIONS)) for _ in range(FRESH_BOOKS))
    served = book.served(EVALUATIONS)
    assert served is not None  # the table was taught
    return JobOverhead(
        plan_cold_s=cold_s,
        plan_cached_s=_seconds(lambda: book.served(EVALUATIONS)),
        merge_s=median(_seconds(lambda n=n: ledger.merge("worker", n, delta)) for n in range(20)),  # type: ignore[misc]
        delta_bytes=len(delta),
        snapshot_bytes=len(snapshot),
        plan_bytes=len(json.dumps(served.plan.to_dict())),
    )


def _timed(pipe: BarePipeline, noise: Tensor) -> list[float]:
    pipe(noise)
    return pipe.step_seconds


def _witnessed(pipe: BarePipeline, noise: Tensor, fastflow: FastFlow) -> tuple[tuple[float, float], list[int]]:
    """((held, peak) in float32 latents, waits by step), beyond the stock pipeline's."""
    held, peak, waits = _looked_on(pipe, noise)
    with fastflow.attach(pipe, KEY, evaluations=EVALUATIONS):
        our_held, our_peak, our_waits = _looked_on(pipe, noise)
    size = 4 * noise.numel()
    beyond = [ours - stock for ours, stock in zip(our_waits, waits, strict=True)]
    return ((our_held - held) / size, (our_peak - peak) / size), beyond


def _looked_on(pipe: BarePipeline, noise: Tensor) -> tuple[int, int, list[int]]:
    """(most bytes held between steps, most at any time, waits by step)."""
    memory, waiting = MemoryWitness(), WaitWitness()
    held, waits = [0], [0]

    def stepped() -> None:
        held.append(memory.alive)
        waits.append(waiting.waits)

    pipe.on_step = stepped
    with waiting, memory:
        pipe(noise)
    pipe.on_step = lambda: None
    return max(held), memory.peak, [after - before for before, after in pairwise(waits)]


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
