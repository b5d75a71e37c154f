"""A Ray of this process's own, in a folder of its own; none of its processes outlives it. Knows no fleet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import ray
import ray._private.worker as rays_driver

from fastflow_ray.errors import FleetUnavailable
from orchestration.fleet_plan import NAMESPACE
from orchestration.held_interrupt import held_interrupt
from workers.scratch_folder import ScratchFolder

LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 100 * 2**20  # only texts travel through Ray
SHORT = Path("/tmp")  # the path of a socket has at most 107 bytes, and Ray puts 60 of its own below this
TRIES = 2  # to start it
WORKER_NICENESS = 0  # Ray's 15 leaves a worker a thirtieth of a busy core, and its GPU waits
LEAVE_S = 5.0  # for its processes to end by themselves


@contextmanager
def own_ray(workers: int, dashboard_port: int | None) -> Iterator[Path]:
    """Yield the folder of its logs, which stays if the block ends with FleetUnavailable; there is a GPU per worker.

    The GPUs are the machine's, or only numbers where it has none. Raises FleetUnavailable if Ray does not start.
    """
    scratch = ScratchFolder(SHORT)
    folder, keep_logs = str(scratch.path), False
    logs = scratch.path / "session_latest" / "logs"
    try:
        _start_patiently(workers, dashboard_port, folder)
        yield logs
    except FleetUnavailable as trouble:
        keep_logs = True
        raise FleetUnavailable(f"{trouble}; the logs are in {logs}") from trouble
    finally:
        _end(folder)
        scratch.keep() if keep_logs else scratch.remove()


def _start_patiently(workers: int, dashboard_port: int | None, folder: str) -> None:
    """Ray waits 30 s for each of its parts; on a busy machine the second try finds their files in memory."""
    for _ in range(TRIES - 1):
        try:
            return _start(workers, dashboard_port, folder)
        except FleetUnavailable:
            _end(folder)
    return _start(workers, dashboard_port, folder)


def _start(workers: int, dashboard_port: int | None, folder: str) -> None:
    # As Ray's own debugger does: it would print a paragraph on our standard output for every worker that dies.
    rays_driver._worker_logs_enabled = False
    try:
        with held_interrupt():
            ray.init(
                "local",  # never a cluster that happens to be there
                namespace=NAMESPACE,
                num_gpus=workers,
                num_cpus=workers + 1,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=dashboard_port is not None,
                dashboard_host=LOOPBACK,
                dashboard_port=dashboard_port,
                log_to_driver=False,
                logging_level=logging.CRITICAL,  # its errors reach us as exceptions too
                _temp_dir=folder,
                _system_config={"worker_niceness": WORKER_NICENESS},
            )
    except Exception as error:  # what Ray raises when a part of it takes over 30 s is no narrower
        said = str(error).rstrip(".") or type(error).__name__
        raise FleetUnavailable(
            f"Ray did not start on this machine ({said}); try again when the machine is less busy"
        ) from error


def _end(folder: str) -> None:
    """Return when none of its processes is left; those that do not go by themselves are killed."""
    processes = _processes_in(folder)  # Ray itself forgets those of a start that failed
    ray.shutdown()
    _, left = psutil.wait_procs(processes, LEAVE_S)
    for one in left:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left)


def _processes_in(folder: str) -> list[psutil.Process]:
    """Our children that were started with the folder in their command lines, and all that descend from them."""
    children = [child for child in psutil.Process().children() if folder in " ".join(_words(child))]
    return [*children, *(one for child in children for one in _descendants(child))]


def _words(process: psutil.Process) -> list[str]:
    try:
        words: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return words


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        children: list[psutil.Process] = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return children
