"""`fastflow-ray bench`: measures, keeps, compares, draws. Torch is imported only when it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fastflow_ray.bench.facts import facts, stamp
from fastflow_ray.bench.regime import GUIDANCES, SHIFTS, STEPS, Regime, regimes
from fastflow_ray.display.console import console
from fastflow_ray.errors import InvalidInput

if TYPE_CHECKING:
    from fastflow_ray.bench.benchmark import Benchmark
    from fastflow_ray.bench.comparison import Comparison
    from fastflow_ray.bench.method import Method
    from fastflow_ray.bench.stage import Stage

LEDGER = "measurements.jsonl"
_REGIMES, _ROWS = "Regimes: every combination of", "What is compared"

AnyModel = Annotated[str, typer.Option(help="A name of the catalogue, a folder in diffusers' format, or a hub id.")]
Guidances = Annotated[str, typer.Option(metavar="X,…", help="Up to 1: one branch only.", rich_help_panel=_REGIMES)]
Shifts = Annotated[str, typer.Option(metavar="X,…", help="Of the sigma grid.", rich_help_panel=_REGIMES)]
Steps = Annotated[str, typer.Option(metavar="N,…", help="Of the full run.", rich_help_panel=_REGIMES)]
Everything = Annotated[
    bool,
    typer.Option("--all", help="Guidance 1, 3, 5 × shift 3, 5, 8 × 30, 50 steps; hours.", rich_help_panel=_REGIMES),
]
Prompts = Annotated[int, typer.Option(min=1, max=500, help="Videos, each with a seed.", rich_help_panel=_ROWS)]
Methods = Annotated[str, typer.Option(metavar="NAME,…", help="Default: all there are.", rich_help_panel=_ROWS)]
Budgets = Annotated[str, typer.Option(metavar="X,…", help="Speedups to compare at.", rich_help_panel=_ROWS)]
Learn = Annotated[str, typer.Option(metavar="N,…", help="Videos ours learns from before.", rich_help_panel=_ROWS)]
Out = Annotated[Path, typer.Option(metavar="FOLDER", help="What was measured there is not measured again.")]


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    model: str
    regimes: Sequence[Regime]
    prompts: int
    methods: Sequence[str]  # none: all
    budgets: Sequence[float]
    learning: Sequence[int]
    out: Path


def bench(
    model: AnyModel = "shapes",
    guidance: Guidances = "3",
    shift: Shifts = "3",
    steps: Steps = "50",
    everything: Everything = False,
    prompts: Prompts = 8,
    methods: Methods = "",
    budgets: Budgets = "2,3.3,5",
    learn: Learn = "1,12",
    out: Out = Path("out/bench"),
) -> None:
    """Measure ways of making generation cheaper, side by side: their work, time and fidelity to the full run."""
    one_by_one = (_numbers("guidance", guidance, 0.0), _numbers("shift", shift, 0.1), _whole("steps", steps, 6))
    order = Order(
        model=model,
        regimes=regimes(GUIDANCES, SHIFTS, STEPS) if everything else regimes(*one_by_one),
        prompts=prompts,
        methods=[name.strip() for name in methods.split(",") if name.strip()],
        budgets=_numbers("budgets", budgets, 1.0),
        learning=_whole("learn", learn, 0),
        out=out,
    )
    for comparison in _carried_out(order, console(stderr=True)):
        _show(comparison, console())


def _carried_out(order: Order, screen: Console) -> list[Comparison]:
    try:
        return _measured(order, screen)
    except KeyboardInterrupt:
        screen.print(f"stopped; what was measured is in {order.out / LEDGER}: the same command goes on from there")
        raise


def _measured(order: Order, screen: Console) -> list[Comparison]:
    """Every regime in turn; after each, the files tell of all there are so far."""
    from fastflow_ray.bench.benchmark import Benchmark
    from fastflow_ray.bench.measurement import Ledger
    from fastflow_ray.bench.report import write

    with screen.status(f"loading {order.model}"):
        methods, stage = _set_up(order)
    known = facts(stage)
    done: list[Comparison] = []
    for regime in order.regimes:
        ledger = Ledger(order.out / LEDGER, stamp(known))
        done.append(_compared(Benchmark(stage, ledger, regime, methods, order.budgets), order, screen))
        write(order.out, done, known)
    return done


def _set_up(order: Order) -> tuple[list[Method], Stage]:
    from diffusers.utils import logging

    from fastflow_ray.bench.roster import chosen
    from fastflow_ray.bench.stage import Stage
    from fastflow_ray.models.loading import load_engine

    logging.set_verbosity_error()  # peers warn of being experimental on every use
    return chosen(order.methods, order.learning), Stage(load_engine(order.model))


def _compared(benchmark: Benchmark, order: Order, screen: Console) -> Comparison:
    from fastflow_ray.bench import subject
    from fastflow_ray.bench.comparison import compared

    subjects, regime = subject.measured(order.prompts), benchmark.regime
    with _progress(screen) as progress:
        bar = progress.add_task(str(regime), total=benchmark.measurements(subjects))

        def told(method: str) -> None:
            progress.update(bar, advance=1, description=f"{regime}: {method}")

        made = benchmark.measure(subjects, told)
    return compared(regime, order.budgets, made, benchmark.verdicts.methods, benchmark.verdicts.settings)


def _progress(screen: Console) -> Progress:
    columns: list[Any] = [BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    return Progress(TextColumn("{task.description}"), *columns, console=screen, transient=True)


def _show(comparison: Comparison, screen: Console) -> None:
    from fastflow_ray.bench.table import at_equal_work, remarks

    screen.print(at_equal_work(comparison).to_rich())
    for remark in remarks(comparison):
        screen.print(remark, style="bright_black", soft_wrap=True)


def _numbers(option: str, text: str, least: float) -> list[float]:
    """Of a list with commas, in its order; raises InvalidInput."""
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise InvalidInput(f"--{option} {text!r} is no list of numbers with commas between, such as 1,3,5") from None
    if not all(least <= number < 1e6 for number in numbers):
        raise InvalidInput(f"--{option} {text!r}: every number has to be {least:g} or more")
    return numbers


def _whole(option: str, text: str, least: int) -> list[int]:
    numbers = _numbers(option, text, least)
    if not all(number.is_integer() for number in numbers):
        raise InvalidInput(f"--{option} {text!r}: these are counts; give whole numbers")
    return [int(number) for number in numbers]
