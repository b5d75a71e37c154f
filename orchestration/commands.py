"""`fastflow-ray up`: a whole fleet on this machine, in the foreground, until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.status import Status
from rich.text import Text

from fastflow_ray.cli.output import announced, log_to
from fastflow_ray.counted import counted
from fastflow_ray.display.console import console
from fastflow_ray.environment import MODELS
from fastflow_ray.errors import FleetUnavailable, InvalidInput
from fastflow_ray.models.catalogue import check_folders, models_to_serve, own_cards, own_models_file
from fastflow_ray.settings import Settings
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet
from orchestration.fleet_plan import SETTINGS, FleetPlan
from orchestration.local_fleet import LocalFleet
from orchestration.news import News

LOOK_S = 1.0

ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A name of the catalogue; several times, and they share the workers. Default: shapes.",
    ),
]
Workers = Annotated[int | None, typer.Option(min=1, help="This many, whatever there is to do. Default: 1.")]
Floor = Annotated[int | None, typer.Option(min=0, help="Instead of --workers: at least this many.")]
Ceiling = Annotated[int | None, typer.Option(min=1, help="And at most this many, as the queue demands.")]
Data = Annotated[Path, typer.Option(help="Folder for queue and videos; a later fleet goes on with it.")]
RedisUrl = Annotated[str | None, typer.Option("--redis", metavar="URL", help="A Redis, instead of an embedded one.")]
StoreUrl = Annotated[str | None, typer.Option("--store", metavar="URL", help="s3://… or file://…, instead of --data.")]
DashboardPort = Annotated[int | None, typer.Option("--dashboard", min=1024, help="Also serve Ray's dashboard here.")]


def up(
    model: ModelNames = None,
    workers: Workers = None,
    floor: Floor = None,
    ceiling: Ceiling = None,
    data: Data = Path(".fastflow-ray"),
    redis: RedisUrl = None,
    store: StoreUrl = None,
    dashboard: DashboardPort = None,
) -> None:
    """Run a fleet on this machine: queue, store, statistics, supervisor and workers. Ctrl-C ends it in good order.

    Killed without warning, all of it ends by itself; the last two helpers of Ray do so within about a minute.
    """
    screen, limits = console(), _limits(workers, floor, ceiling)
    log_to(screen)
    settings = Settings.from_environment().model_dump(include=SETTINGS)
    models = models_to_serve(model)
    check_folders(models)
    local = LocalFleet(data, limits, models, redis, store, dashboard, own=own_cards(models), **settings)
    try:
        with announced(screen, _raising(limits)) as note, local as fleet:
            attend(fleet, local, screen, note, lambda: _say_how_to_use(screen, fleet.plan, redis, store, dashboard))
    except KeyboardInterrupt:
        screen.print("Interrupted; what had begun has been ended.")
        raise
    screen.print("The fleet has ended. Its queue and its videos are kept.")


def attend(fleet: Fleet, local: LocalFleet, screen: Console, note: Status, say_how: Callable[[], None]) -> None:
    """Until the first Ctrl-C, which ends the fleet in good order."""
    try:
        # A service manager or a container stops us by SIGTERM; Ray has set a handler of its own while it started.
        # Of a shell's script what runs in the background is born deaf to SIGINT.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)
        note.stop()
        say_how()
        note.start()
        _follow(fleet, local, screen, note)
    except KeyboardInterrupt:
        screen.print("The workers give their jobs back and leave; Ctrl-C again does not wait for them.")
        note.update("Ending the fleet …")


def _limits(workers: int | None, floor: int | None, ceiling: int | None) -> Limits:
    if workers is not None and (floor is not None or ceiling is not None):
        raise InvalidInput("--workers fixes the number; give either it, or --floor and --ceiling")
    if floor is None and ceiling is None:
        number = workers or 1
        return Limits(number, number)
    lowest = floor or 0
    return Limits(lowest, ceiling or max(lowest, 1))


def _raising(limits: Limits) -> str:
    lowest, most = limits.floor, limits.ceiling
    from_lowest = "" if lowest == most else f"{lowest} to "
    return f"Raising a fleet of {from_lowest}{counted(most, 'worker')} …"


def _say_how_to_use(
    screen: Console, plan: FleetPlan, redis: str | None, store: str | None, dashboard: int | None
) -> None:
    """What to paste into another terminal; URLs that were given to us may hold a password and are not repeated."""
    ours = [("FASTFLOW_REDIS_URL", plan.redis_url, redis), ("FASTFLOW_STORE_URL", plan.store_url, store)]
    told = [f"{name}={shlex.quote(url)}" for name, url, given in ours if not given]
    if plan.own and (file := own_models_file()):
        told.append(f"{MODELS}={shlex.quote(str(file.absolute()))}")
    withheld = " and ".join(name for name, _, given in ours if given)
    screen.print(f"The fleet of {plan.name} is up. In another terminal:\n", highlight=False)
    for line in (
        *([f"  # {withheld} as given here"] if withheld else []),
        *([f"  export {' '.join(told)}"] if told else []),
        f'  fastflow-ray submit "a small red circle moving left on a navy background" --model {plan.models[0]}',
        "  fastflow-ray serve    # the HTTP API, as the openai client speaks it",
    ):
        screen.print(line, highlight=False, soft_wrap=True)
    if dashboard is not None:
        screen.print(f"\nRay's dashboard: http://127.0.0.1:{dashboard}, its token: `ray get-auth-token`")
    screen.print("\nCtrl-C ends the fleet.")


def _follow(fleet: Fleet, local: LocalFleet, screen: Console, note: Status) -> NoReturn:
    """Show what there is, and tell once of all that changes."""
    news = News(local.logs)
    while True:
        try:
            status = fleet.status()
            for line in news.of(status):
                screen.print(Text(line), soft_wrap=True)
            note.update(Text(status.in_one_line()))
        except FleetUnavailable as passing:  # Ray is starting the supervisor anew
            note.update(Text(str(passing)))
        time.sleep(LOOK_S)
