"""`fastflow-ray bench-overhead`: measures, tells, leaves `overhead.json` and `overhead.md`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

Tokens = Annotated[int, typer.Option(min=64, max=32_760, help="Over which one block is timed; fewer: extrapolated.")]
Repeats = Annotated[int, typer.Option(min=1, max=100, help="Walks of 50 steps, of which the median counts.")]
Scale = Annotated[int, typer.Option(min=1, max=13, help="Height and width of the latents are divided by it.")]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")]


def bench_overhead(
    tokens: Tokens = 32_760, repeats: Repeats = 5, shrink: Scale = 1, out: Out = Path("out/bench-overhead")
) -> None:
    """Measure what a step costs beside the network, at the latent size of Wan 2.1 1.3B, 480p, 81 frames."""
    import torch

    from fastflow_ray.bench.facts import circumstances
    from fastflow_ray.bench.overhead.overhead import job_overhead, step_overhead
    from fastflow_ray.bench.overhead.report import Report, write
    from fastflow_ray.bench.overhead.wan import LATENTS, WanShape, block_seconds

    screen = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    shape = (*LATENTS[:3], LATENTS[3] // shrink, LATENTS[4] // shrink)
    with screen.status("planning and telling the fleet"):
        job = job_overhead()
    steps = []
    for dtype in (torch.float32, torch.bfloat16):
        with screen.status(f"walking 50 steps of {dtype} latents"):
            steps.append(step_overhead(shape, dtype, repeats))
    with screen.status(f"one block of Wan 2.1 1.3B over {tokens:,} tokens, once: the whole takes minutes"):
        block = block_seconds(WanShape(), tokens)
    report = Report(shape, steps, job, block, tokens)
    write(out, report, circumstances())
    Console().print(report.grid().to_rich())
    Console().print("\n".join(report.remarks()), style="bright_black", soft_wrap=True)
