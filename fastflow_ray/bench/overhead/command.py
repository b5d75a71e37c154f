"""`fastflow-ray bench-overhead`: measures, tells, leaves `overhead.json` and `overhead.md`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fastflow_ray.display.console import console

if TYPE_CHECKING:
    import torch

    from fastflow_ray.bench.overhead.whole_job import WholeJob

Tokens = Annotated[int, typer.Option(min=64, max=32_760, help="Over which one block is timed; fewer: extrapolated.")]
Repeats = Annotated[int, typer.Option(min=1, max=100, help="Walks of 50 steps, of which the median counts.")]
Scale = Annotated[int, typer.Option(min=1, max=13, help="Height and width of the latents are divided by it.")]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="cpu or cuda. Default: the GPU if there is one.")]
Whole = Annotated[
    bool, typer.Option("--whole-job", help="A job of 50 steps by the whole network too: minutes on a GPU.")
]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")]


def bench_overhead(
    tokens: Tokens = 32_760,
    repeats: Repeats = 5,
    shrink: Scale = 1,
    device: Device = "",
    whole_job: Whole = False,
    out: Out = Path("out/bench-overhead"),
) -> None:
    """Measure what a step costs beside the network, at the latent size of Wan 2.1 1.3B, 480p, 81 frames."""
    import torch

    from fastflow_ray.bench.facts import circumstances
    from fastflow_ray.bench.overhead.overhead import job_overhead, step_overhead
    from fastflow_ray.bench.overhead.report import Report, write
    from fastflow_ray.bench.overhead.wan import LATENTS, WanShape, block_seconds

    screen = console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    on = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    shape = (*LATENTS[:3], LATENTS[3] // shrink, LATENTS[4] // shrink)
    with screen.status("planning and telling the fleet"):
        job = job_overhead()
    steps = []
    for dtype in (torch.float32, torch.bfloat16):
        with screen.status(f"walking 50 steps of {dtype} latents"):
            steps.append(step_overhead(shape, dtype, repeats, on))
    with screen.status(f"one block of Wan 2.1 1.3B over {tokens:,} tokens, once: minutes on a CPU"):
        block = block_seconds(WanShape(), tokens, on)
    whole = _whole_job(on, shape, screen) if whole_job else None
    report = Report(shape, steps, job, block, tokens, on, whole)
    write(out, report, circumstances())
    console().print(report.grid().to_rich())
    console().print("\n".join(report.remarks()), style="bright_black", soft_wrap=True)


def _whole_job(device: torch.device, latents: tuple[int, ...], screen: Console) -> WholeJob:
    from fastflow_ray.bench.overhead.overhead import EVALUATIONS, STEPS
    from fastflow_ray.bench.overhead.whole_job import whole_job

    with screen.status("three jobs of 50 steps by the whole network"):
        return whole_job(device, STEPS, EVALUATIONS, latents=latents)
