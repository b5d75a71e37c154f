"""What a generation may do to its device: exhaust the memory, or end the device for this process. Knows no pipeline.

After some errors, such as an assertion that failed inside a kernel, CUDA answers every later call with the same error:
work can go on in another process only.
"""

from __future__ import annotations

import gc
from pathlib import Path

import torch

# How the allocators of CUDA, cuBLAS and the CPU put it where they raise no class of their own.
COMPLAINTS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice, the device's or the machine's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(complaint in str(error) for complaint in COMPLAINTS)


def is_lost(device: torch.device) -> bool:
    """Whether the device computes nothing any more in this process, not even one number."""
    try:
        torch.ones(1, device=device).item()
    except RuntimeError as error:
        return not ran_out_of_memory(error)
    return False


def is_gone(devices: Path = Path("/dev")) -> bool:
    """Whether NVIDIA's driver shows a GPU and CUDA has none: torch would compute on the CPU and say nothing."""
    return bool(torch.version.cuda) and not torch.cuda.is_available() and any(devices.glob("nvidia[0-9]*"))


def free_memory(device: torch.device) -> None:
    """Give back what nobody uses any more, cycles of objects included; takes tenths of a second."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
