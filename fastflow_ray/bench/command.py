"""`fastflow-ray bench`: measures, keeps, compares, draws. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fastflow_ray.atomic_file import replacing
from fastflow_ray.bench.facts import facts, stamp
from fastflow_ray.bench.regime import GUIDANCES, SHIFTS, STEPS, Regime, regimes
from fastflow_ray.errors import InvalidInput

if TYPE_CHECKING:
    from fastflow_ray.bench.comparison import Comparison
    from fastflow_ray.bench.method import Method
    from fastflow_ray.bench.stage import Stage

LEDGER, RESULT, TABLES = "measurements.jsonl", "bench.json", "bench.md"

AnyModel = Annotated[str, typer.Option(help="A name of the catalogue, a folder in diffusers' format, or a hub id.")]


def bench(
    model: AnyModel = "shapes",
    guidance: Annotated[str, typer.Option(metavar="X[,Y…]", help="Up to 1: one branch only.")] = "3",
    shift: Annotated[str, typer.Option(metavar="X[,Y…]", help="Of the sigma grid.")] = "3",
    steps: Annotated[str, typer.Option(metavar="N[,M…]", help="Of the full run.")] = "50",
    prompts: Annotated[int, typer.Option(min=1, max=500, help="Measured videos, each with a seed of its own.")] = 8,
    methods: Annotated[str, typer.Option(metavar="A[,B…]", help="Default: all there are.")] = "",
    budgets: Annotated[str, typer.Option(metavar="X[,Y…]", help="Speedups to compare at.")] = "2,3.3,5",
    learn: Annotated[str, typer.Option(metavar="N[,M…]", help="Generations ours learns from before.")] = "1,12",
    everything: Annotated[
        bool, typer.Option("--all", help="Every regime: guidance 1, 3, 5 × shift 3, 5, 8 × 30, 50 steps. Takes hours.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Kept measurements are not made again.")] = Path(
        "out/bench"
    ),
) -> None:
    """Measure ways of making generation cheaper side by side: work, time, and fidelity to the full run."""
    wanted = regimes(GUIDANCES, SHIFTS, STEPS) if everything else _regimes(guidance, shift, steps)
    speedups, lessons = _numbers(budgets, "--budgets", least=1.0), [int(n) for n in _numbers(learn, "--learn", 0.0)]
    names = [name.strip() for name in methods.split(",") if name.strip()]
    screen = Console(stderr=True)
    try:
        done = _measured(model, wanted, prompts, names, speedups, lessons, out, screen)
    except KeyboardInterrupt:
        screen.print(f"stopped; what was measured is in {out / LEDGER}, and the same command goes on from there")
        raise
    for comparison in done:
        _show(comparison, Console(file=sys.stdout))


def _measured(
    model: str, wanted: Sequence[Regime], prompts: int, names: Sequence[str], speedups: Sequence[float],
    lessons: Sequence[int], out: Path, screen: Console,
) -> list[Comparison]:  # fmt: skip
    """Every regime in turn; after each, the files tell of all there are so far."""
    with screen.status(f"loading {model}"):
        chosen, stage = _set_up(model, names, lessons)
    known = facts(stage)
    done: list[Comparison] = []
    for regime in wanted:
        done.append(_one_regime(stage, regime, chosen, speedups, prompts, out / LEDGER, known, screen))
        _write(out, done, known)
    return done


def _set_up(model: str, names: Sequence[str], lessons: Sequence[int]) -> tuple[list[Method], Stage]:
    from diffusers.utils import logging

    from fastflow_ray.bench.roster import chosen
    from fastflow_ray.bench.stage import Stage
    from fastflow_ray.models.loading import load_engine

    logging.set_verbosity_error()  # peers warn of being experimental on every use
    return chosen(names, lessons), Stage(load_engine(model))


def _one_regime(
    stage: Stage, regime: Regime, methods: Sequence[Method], speedups: Sequence[float], prompts: int, ledger: Path,
    known: dict[str, Any], screen: Console,
) -> Comparison:  # fmt: skip
    from fastflow_ray.bench import subject
    from fastflow_ray.bench.benchmark import Benchmark
    from fastflow_ray.bench.comparison import compared
    from fastflow_ray.bench.measurement import Ledger

    benchmark = Benchmark(stage, Ledger(ledger, stamp(known)), regime, methods, speedups)
    subjects = subject.measured(prompts)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen, transient=True) as progress:
        task = progress.add_task(str(regime), total=benchmark.measurements(subjects))
        made = benchmark.measure(
            subjects, lambda method: progress.update(task, advance=1, description=f"{regime}  {method}")
        )
    return compared(regime, speedups, made, benchmark.verdicts.methods, benchmark.verdicts.settings)


def _write(out: Path, done: Sequence[Comparison], known: dict[str, Any]) -> None:
    from fastflow_ray.bench.plot import draw
    from fastflow_ray.bench.table import at_equal_work, every_point, remarks

    result = known | {"comparisons": [comparison.to_dict() for comparison in done]}
    with replacing(out / RESULT) as sibling:
        sibling.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    parts = [f"`{known['command']}` on {known['machine']['cpu']}, model {known['model']} {known['revision']}"]
    for each in done:
        notes = [f"- {remark}" for remark in remarks(each)]
        parts += [at_equal_work(each).to_markdown(), every_point(each).to_markdown(), "\n".join(notes)]
    with replacing(out / TABLES) as sibling:
        sibling.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")
    draw(done[-1], out / picture(done[-1].regime))


def picture(regime: Regime) -> str:
    """The file name of a regime's plot."""
    return f"guidance{regime.guidance:g}-shift{regime.shift:g}-steps{regime.steps}.png"


def _show(comparison: Comparison, screen: Console) -> None:
    from fastflow_ray.bench.table import at_equal_work, remarks

    screen.print(at_equal_work(comparison).to_rich())
    for remark in remarks(comparison):
        screen.print(remark, style="bright_black", soft_wrap=True)


def _regimes(guidance: str, shift: str, steps: str) -> list[Regime]:
    grid_steps = [int(number) for number in _numbers(steps, "--steps", least=6)]
    return regimes(_numbers(guidance, "--guidance", least=1.0), _numbers(shift, "--shift", least=0.1), grid_steps)


def _numbers(text: str, option: str, least: float) -> list[float]:
    """Of a list with commas, in its order; raises InvalidInput."""
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise InvalidInput(f"{option} {text!r} is not a list of numbers with commas between, such as 1,3,5") from None
    if not all(number >= least for number in numbers):
        raise InvalidInput(f"{option} {text!r}: every number has to be {least:g} or more")
    return numbers
