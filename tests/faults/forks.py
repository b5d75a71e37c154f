"""Processes that begin within milliseconds: forked from one that has imported what they need, and nothing else."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from multiprocessing import forkserver

PR_SET_PDEATHSIG = 1  # of prctl(2), Linux
PRELOADED = ["pytest", "workers.worker", "fastflow_ray.storage.s3", "fastflow_ray.media.video"]
PRELOADED += ["orchestration.arm_statistics", "fastflow_ray.queue"]

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(PRELOADED)


def end_with_the_test() -> None:
    """For a forked process: to be killed when the one it was forked from ends, and that one ends with the test.

    The kernel sees to it, since a frozen process cannot. Every fork is handed what keeps its server alive, and lets go
    of it here.
    """
    os.close(forkserver._forkserver._forkserver_alive_fd)
    fork_server = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != fork_server:
        os._exit(1)  # it went before we asked
