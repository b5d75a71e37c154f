"""The command line: `fastflow-ray COMMAND`. One file per group of commands; none knows Redis, a store or a model."""

from fastflow_ray.cli.app import main

__all__ = ["main"]
