"""What the demo's jobs did, as a table and a few honest sentences. Manifests in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from fastflow_ray.display import prompt_of
from fastflow_ray.queue.contract import JobRecord

PHASES = {"text_encode": "text s", "sample": "sample", "decode": "decode", "encode": "mp4 s"}  # seconds; short headings
Manifest = dict[str, Any]


def summary_table(records: Sequence[JobRecord]) -> Table:
    """One row per video: network evaluations, seconds per phase, and the audit where there was one."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("video", max_width=13, no_wrap=True, overflow="ellipsis")
    for heading in ("plan", "made", "skip", "fewer", *PHASES.values(), "PSNR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records:
        if record.result:
            table.add_row(prompt_of(record), *_numbers(record.result))
        else:
            table.add_row(prompt_of(record), Text(str(record.state), "red"))
    return table


def summary_lines(records: Sequence[JobRecord]) -> Iterator[str]:
    """What the numbers mean."""
    made = [record.result for record in records if record.result]
    nfe, full = (sum(m["evaluations"][name] for m in made) for name in ("nfe", "baseline_nfe"))
    if nfe:
        fewer = f"{nfe} instead of {full}, {full / nfe:.2f} times fewer"
        yield f"Network evaluations, both guidance branches counted: {fewer}."
    calibrations = sum(m["evaluations"]["skipped"] == 0 for m in made)
    yield f"{calibrations} of {len(made)} ran in full: so a fleet that knows nothing learns the scale of errors."
    for manifest in made:
        if manifest["audit"]:
            yield _audit_line(manifest)


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


def _audit_line(manifest: Manifest) -> str:
    seconds, full_s = manifest["phase_s"]["sample"], manifest["audit"]["full_sample_s"]
    return (
        f"Audit of seed {manifest['seed']}: the full run of the same seed took {full_s:.2f} s to sample, this one"
        f" {seconds:.2f} s, {full_s / seconds:.2f} times faster; the decoded frames are {_psnr(manifest)} apart (PSNR)."
    )
