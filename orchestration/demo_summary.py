"""What the demo's jobs did, as a table and a few honest sentences. Manifests in, text out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from fastflow_ray.counted import counted
from fastflow_ray.display.words import prompt_of
from fastflow_ray.queue.contract import JobRecord

PHASES = {"text_encode": "text s", "sample": "sample", "decode": "decode", "encode": "mp4 s"}  # seconds; short headings
Manifest = dict[str, Any]


def summary_table(records: Sequence[JobRecord]) -> Table:
    """One row per video: network evaluations, seconds per phase, and the audit where there was one.

    On a narrow terminal prompts give way, never a number.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("video")
    for heading in ("plan", "made", "skip", "fewer", *PHASES.values(), "PSNR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records:
        prompt = Text(prompt_of(record), no_wrap=True, overflow="ellipsis")
        if record.result:
            table.add_row(prompt, *_numbers(record.result))
        else:
            table.add_row(prompt, Text(str(record.state), "red"))
    return table


def summary_lines(records: Sequence[JobRecord]) -> Iterator[str]:
    """What the numbers mean."""
    made = [record.result for record in records if record.result]
    nfe, full = (sum(m["evaluations"][name] for m in made) for name in ("nfe", "baseline_nfe"))
    if nfe:
        fewer = f"{nfe} instead of {full}, {full / nfe:.2f} times fewer"
        yield f"Network evaluations, both guidance branches counted: {fewer}."
    full_runs = sum(m["evaluations"]["skipped"] == 0 for m in made)
    yield f"{full_runs} of {len(made)} evaluated every step: so a fleet that knows nothing learns from them."
    if audits := [m["audit"] for m in made if m["audit"]]:
        yield from _audit_lines(audits, [m for m in made if m["audit"]])


def _audit_lines(audits: Sequence[dict[str, Any]], audited: Sequence[Manifest]) -> Iterator[str]:
    """What audits measured, and what they cost."""
    fidelities = sorted(math.inf if audit["psnr_db"] is None else audit["psnr_db"] for audit in audits)
    at_once = [m for m in audited if not m.get("resumed_at_steps")]  # the others' seconds are those of a few last steps
    faster = [m["audit"]["full_sample_s"] / m["phase_s"]["sample"] for m in at_once]
    sooner = f", and sampling took {median(faster):.1f} times less time (median)" if faster else ""
    yield (
        f"{counted(len(audits), 'was', 'were')} also run in full, from the same seed: the decoded frames are"
        f" {fidelities[0]:.1f} to {fidelities[-1]:.1f} dB apart (PSNR, median {median(fidelities):.1f}){sooner}."
    )
    yield (
        f"A young fleet audits often, and tries other plans on the same seed: {sum(audit['nfe'] for audit in audits)}"
        " network evaluations more, which a busy fleet spreads over many jobs."
    )


def _numbers(manifest: Manifest) -> Iterator[str]:
    """planned, made and skipped are steps; the ratio is of network evaluations."""
    done = manifest["evaluations"]
    yield from (str(done[name]) for name in ("planned", "made", "skipped"))
    yield f"{done['baseline_nfe'] / done['nfe']:.2f}×"
    yield from (f"{manifest['phase_s'].get(phase, 0.0):.2f}" for phase in PHASES)
    yield _psnr(manifest) if manifest["audit"] else ""


def _psnr(manifest: Manifest) -> str:
    psnr_db = manifest["audit"]["psnr_db"]
    return "equal" if psnr_db is None else f"{psnr_db:.1f} dB"
