"""Which clock tells what work on a device took."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds: of the processor on a CPU, which others use too; on a GPU by the wall, once it has done what it was
    given."""
    if device.type != "cuda":
        return time.process_time

    def finished() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return finished
