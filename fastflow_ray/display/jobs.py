"""Jobs as people watch them: a table, a card, a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fastflow_ray.counted import counted
from fastflow_ray.display.advance import BAR_CELLS, Advance, Strip, advance, bar, phase_text, seconds_text, work_text
from fastflow_ray.display.fitting import Fitting
from fastflow_ray.display.words import on_one_line, prompt_of
from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.queue.contract import JobRecord

PROMPT_CELLS = 34
COLOUR = {
    JobState.QUEUED: "bright_black",
    JobState.DELAYED: "yellow",
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.DEAD: "red",
    JobState.CANCELLED: "magenta",
}


def jobs_table(records: Sequence[JobRecord]) -> RenderableType:
    """One row per job, in the order given, its id below its prompt.

    On 80 columns prompt, bar and worker give way, never a number or an id; on fewer each job has a few lines instead.
    """
    return Fitting(_abreast(records), _stacked(records), needed=80)


def account_line(result: Mapping[str, Any]) -> str:
    """What skipping did, of a manifest or of a report like one: steps, speedup, fidelity foreseen and measured.

    What is foreseen is a mean over videos that were audited; what was measured is of this one.
    """
    steps, done = result["steps"], result["evaluations"]
    words = [f"{done['made']} of {steps} steps evaluated ({steps / max(done['made'], 1):.1f}×)"]
    if added := done.get("added"):
        words.append(f"{added} of them beyond the plan")
    if (expected_db := result.get("expected_fidelity_db")) is not None:
        words.append(f"expected {expected_db:.0f} dB on average")
    if audit := result.get("audit"):
        measured_db, here = audit["psnr_db"], "" if expected_db is None else " here"
        measured = "identical to the full run" if measured_db is None else f"{measured_db:.1f} dB"
        words.append(f"measured {measured}{here}")
    return ", ".join(words)


def job_line(record: JobRecord) -> str:
    """The job in one plain line, for logs and pipes."""
    now = advance(record)
    words = [record.job_id, str(record.state)]
    if now.phase:
        words.append(now.phase)
    if now.evaluated_steps is not None and record.result:
        words.append(account_line(record.result))
    elif now.steps:
        words.append(f"step {now.step}/{now.steps}, {work_text(now)}")
    if now.seconds is not None:
        words.append(f"in {_spent(record, now)}" if record.state in TERMINAL else f"ETA {seconds_text(now.seconds)}")
    words += [f"note: {remark}" for remark in (record.result or {}).get("remarks", ())]
    if quiet := silence(record):
        words.append(quiet)
    if record.error:
        words.append(_error(record.error))
    return "  ".join(words)


def listed_line(record: JobRecord) -> str:
    """The job in a line that says which one it is too: its prompt comes last, for it may hold anything."""
    return f"{job_line(record)}  {prompt_of(record)}"


def job_card(record: JobRecord) -> Table:
    """Everything worth reading about one job, a line per fact."""
    now = advance(record)
    card = Table.grid(padding=(0, 2))
    card.add_column(style="bright_black", justify="right")
    card.add_column(overflow="fold")
    card.add_row("job", Text(record.job_id))
    card.add_row("state", Text(" ".join(filter(None, (str(record.state), now.phase))), COLOUR[record.state]))
    card.add_row("prompt", Text(prompt_of(record)))
    if now.steps:
        card.add_row("steps", bar(now, 2 * BAR_CELLS))
        card.add_row("", _counts(record, now))
    if now.seconds is not None:
        card.add_row(*("took", _spent(record, now)) if record.state in TERMINAL else ("ETA", seconds_text(now.seconds)))
    if quiet := silence(record):
        card.add_row("", Text(quiet, "yellow"))
    if record.attempts:
        card.add_row("attempt", f"{record.attempts} on {record.worker or 'no worker now'}, {record.crashes} crashed")
    for name, fact in _facts(record):
        card.add_row(name, Text(fact))
    return card


def silence(record: JobRecord) -> str | None:
    """What becomes of a job without a beat; None: it beats. Its worker may be replaced, under the same name."""
    if not record.silent or record.silent_s is None:
        return None
    quiet = f"attempt silent for {record.silent_s:.0f} s"
    if record.back_in_s is None:
        return f"{quiet}, and nobody has given the job back yet; is the fleet up?"
    return f"{quiet}, the job comes back in at most {record.back_in_s:.0f} s"


def _abreast(records: Sequence[JobRecord]) -> Table:
    """A cell for each fact, but for the id."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("prompt", max_width=PROMPT_CELLS, no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("steps")
    for heading in ("step", "made", "skipped", "ETA"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worker", max_width=20, style="bright_black")
    for record in records:
        table.add_row(_name(record), *_cells(record))
    return table


def _stacked(records: Sequence[JobRecord]) -> Group:
    """Below each prompt a line for the id and one for the numbers; neither the bar nor the worker."""
    lines: list[RenderableType] = []
    for record in records:
        name = Text(record.job_id, "bright_black", overflow="fold")
        lines += [_shortened(prompt_of(record)), *(Padding(line, (0, 0, 0, 2)) for line in (name, _numbers(record)))]
    return Group(*lines)


def _counts(record: JobRecord, now: Advance) -> str:
    if now.evaluated_steps is not None and record.result:
        return account_line(record.result)
    return f"{now.step} of {now.steps}: {work_text(now)}"


def _facts(record: JobRecord) -> Iterator[tuple[str, str]]:
    """What a manifest says beyond the steps, or why there is none."""
    result = record.result or {}
    if pace := result.get("pace"):
        yield "asked for", ", ".join(f"{name} {value}" for name, value in pace.items())
    if evaluations := result.get("evaluations"):
        nfe, full = evaluations["nfe"], evaluations["baseline_nfe"]
        yield "network", f"{nfe} of {full} evaluations, {full / max(nfe, 1):.2f} times fewer"
    if seconds := result.get("phase_s"):
        told = ", ".join(f"{phase} {spent:.1f}" for phase, spent in seconds.items())
        yield "seconds", " ".join(filter(None, (told, _resumed(result))))
    if audit := result.get("audit"):
        cost = f", for {counted(audit['nfe'], 'evaluation')} more" if audit.get("nfe") else ""
        psnr_db = audit["psnr_db"]
        kept = "identical to the full run" if psnr_db is None else f"PSNR {psnr_db:.1f} dB against the full run"
        yield "audit", kept + cost
    for remark in result.get("remarks", ()):
        yield "note", remark
    if snapshot := result.get("snapshot"):
        yield "learnt", f"by snapshot {snapshot}"
    if "seed" in result:
        yield "seed", str(result["seed"])
    for name, file in result.get("files", {}).items():
        yield name, f"{counted(file['size'], 'byte')} at {file['key']}"
    if record.error:
        yield "error", _error(record.error)


def _error(error: Mapping[str, str]) -> str:
    """Its code, unless the message begins with that word, as "cancelled on request" does."""
    code, message = str(error.get("code")), str(error.get("message"))
    return on_one_line(message if message.startswith(code) else f"{code}: {message}")


def _name(record: JobRecord) -> Group:
    return Group(_shortened(prompt_of(record)), Text(record.job_id, "bright_black", no_wrap=True))


def _cells(record: JobRecord) -> list[RenderableType]:
    now = advance(record)
    counts = [f"{now.step}/{now.steps}", str(now.made), str(now.skipped)] if now.steps else ["", "", ""]
    return [_state(record, now), Strip(now), *counts, _time(record, now), _shortened(record.worker or "")]


def _numbers(record: JobRecord) -> Text:
    now = advance(record)
    words = [f"{now.step}/{now.steps}, {now.made} made, {now.skipped} skipped"] if now.steps else []
    if told := _time(record, now):
        words.append(told if record.state in TERMINAL else f"ETA {told}")
    return Text("  ").join([_state(record, now), *map(Text, words)])


def _state(record: JobRecord, now: Advance) -> Text:
    return Text("silent" if record.silent else phase_text(now) or str(record.state), COLOUR[record.state])


def _shortened(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")


def _time(record: JobRecord, now: Advance) -> str:
    """To the end while the job runs; with "in", what it took; with "over", what it took without earlier attempts."""
    if now.seconds is None or record.state not in TERMINAL:
        return seconds_text(now.seconds)
    return f"{'over' if _since(record) else 'in'} {seconds_text(now.seconds)}"


def _spent(record: JobRecord, now: Advance) -> str:
    """What the job took, and since when that counts if not since it was begun."""
    return " ".join(filter(None, (seconds_text(now.seconds), _since(record))))


def _since(record: JobRecord) -> str | None:
    """What a record's seconds count from where attempts were made before: the queue knows of the last one alone."""
    result = record.result or {}
    made_by_the_last = result.get("attempt", record.attempts) == record.attempts
    last = "since its last attempt began" if record.attempts > 1 else None
    return (_resumed(result) if made_by_the_last else None) or last


def _resumed(result: Mapping[str, Any]) -> str | None:
    """What a manifest's seconds count from, if not from the first step."""
    steps = result.get("resumed_at_steps")
    return f"since it was resumed at step {steps[-1]}" if steps else None
