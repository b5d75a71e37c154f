"""Video from flow models on a fleet of GPUs, most network evaluations skipped.

This is the public face. Names are fetched when they are first used, so that a client that only submits jobs
imports neither torch nor Ray nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastflow_ray.client import Client
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.jobs.video_job import VideoJob

__version__ = "0.1.0"
__all__ = ["Client", "FastFlow", "VideoJob", "__version__"]

_HOMES = {
    "Client": "fastflow_ray.client",
    "FastFlow": "fastflow_ray.fastflow",
    "VideoJob": "fastflow_ray.jobs.video_job",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
