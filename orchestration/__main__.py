"""`python -m orchestration`: raises a fleet in a Ray cluster and raises again what is gone, until it is told to stop.

The fleet goes on without this process. When Ray does not answer, it ends with code 1, and whoever runs it, such as
Kubernetes, starts it again.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence

from fastflow_ray.counted import counted
from fastflow_ray.errors import FastFlowError, FleetUnavailable
from fastflow_ray.models.catalogue import models_to_serve, own_cards
from fastflow_ray.settings import Settings
from orchestration.autoscale import Limits
from orchestration.fleet import Fleet, join_cluster
from orchestration.fleet_plan import SETTINGS, FleetPlan

log = logging.getLogger("orchestration")

LOOK_S = 10.0
PATIENCE_S = 60.0  # without an answer; a head that is lost is back within seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 2 for a mistake in the request, 1 for everything else that went wrong."""
    try:
        settings = Settings.from_environment()
        asked = _parser(settings).parse_args(arguments)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
        limits, more = Limits(asked.floor, asked.ceiling), settings.model_dump(include=SETTINGS)
        models = models_to_serve(asked.model)
        plan = FleetPlan(models, asked.redis, asked.store, limits, place=asked.place, own=own_cards(models), **more)
        _keep(asked.address, plan)
    except FastFlowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _keep(address: str, plan: FleetPlan) -> None:
    join_cluster(address, plan)
    stop, heard_s = threading.Event(), time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):  # only now, for Ray sets a handler of its own while it connects
        signal.signal(number, lambda *_: stop.set())
    log.info("-> the fleet of %s, %d to %s", plan.name, plan.limits.floor, counted(plan.limits.ceiling, "worker"))
    while not stop.wait(LOOK_S):
        try:
            log.info("   %s", Fleet(plan).status().in_one_line())
            heard_s = time.monotonic()
        except FleetUnavailable as trouble:
            if time.monotonic() - heard_s > PATIENCE_S:
                raise
            log.warning("!  %s", trouble)
    log.info("<- the fleet of %s goes on by itself", plan.name)


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration", description="Keep a fleet in a Ray cluster.")
    parser.add_argument("--address", default="auto", help="of the Ray cluster: auto, HOST:PORT or ray://HOST:PORT")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="of the catalogue; given several times, all of them share the workers (shapes)",
    )
    parser.add_argument("--floor", type=int, default=0, help="workers kept with nothing to do (0)")
    parser.add_argument("--ceiling", type=int, default=8, help="workers never exceeded (8)")
    parser.add_argument(
        "--place", default="", metavar="NAME", help="ends its workers' names; another one for each fleet on a queue"
    )
    parser.add_argument("--redis", metavar="URL", default=settings.redis_url, help="default: FASTFLOW_REDIS_URL")
    parser.add_argument("--store", metavar="URL", default=settings.store_url, help="default: FASTFLOW_STORE_URL")
    return parser


if __name__ == "__main__":
    sys.exit(main())
