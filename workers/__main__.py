"""A worker without Ray, for one machine and for debugging: `python -m workers --model shapes`. Learns alone."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import FrameType

from fastflow_ray.bandit.ledger import Ledger
from fastflow_ray.errors import FastFlowError
from fastflow_ray.models.catalogue import check_folders, models_to_serve, own_cards
from fastflow_ray.queue import open_queue
from fastflow_ray.settings import Settings
from workers.config import WorkerConfig
from workers.meter import NoMeter
from workers.reaper_thread import ReaperThread
from workers.worker import Worker, open_worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 2 for a mistake in the request, 1 for everything else that went wrong."""
    try:
        settings = Settings.from_environment()
        asked = _parser(settings).parse_args(arguments)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
        config = _config(asked, settings)
        worker = open_worker(config, Ledger(), NoMeter())
        with _reaping(config, settings):
            _run(worker, jobs=1 if asked.once else None)
    except FastFlowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


@contextmanager
def _reaping(config: WorkerConfig, settings: Settings) -> Iterator[None]:
    """What other workers lose is given back meanwhile, for here is no supervisor that would."""
    with ExitStack() as leaving:
        queues = [open_queue(config.redis_url, model, **settings.limits) for model in config.models]
        for queue in queues:
            leaving.callback(queue.close)
        leaving.enter_context(ReaperThread(queues, settings.grace_s))
        yield


def _run(worker: Worker, jobs: int | None) -> None:
    """In a thread of its own: a signal handler may then take any lock without meeting itself."""
    _drain_on_signals(worker)
    with ThreadPoolExecutor(1, "worker") as one_thread:
        one_thread.submit(worker.run, jobs).result()


def _drain_on_signals(worker: Worker) -> None:
    def drain(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once; the lease saves its job
        worker.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, drain)


def _config(asked: argparse.Namespace, settings: Settings) -> WorkerConfig:
    models = models_to_serve(asked.model)
    check_folders(models)
    return WorkerConfig(
        name=f"{socket.gethostname()}-{os.getpid()}",
        models=models,
        redis_url=asked.redis,
        store_url=asked.store,
        lease_s=settings.lease_s,
        beat_s=settings.beat_s,
        stall_s=settings.stall_s,
        result_ttl_s=settings.result_ttl_s,
        own=own_cards(models),
    )


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers", description="Take jobs from a queue and make their videos."
    )
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="whose queue to serve (shapes); may be given several times"
    )
    parser.add_argument("--redis", default=settings.redis_url, metavar="URL", help="where the queue is")
    parser.add_argument(
        "--store", default=settings.store_url, metavar="URL", help="file:///folder or s3://bucket/prefix"
    )
    parser.add_argument("--once", action="store_true", help="leave after one job")
    return parser


if __name__ == "__main__":
    sys.exit(main())
