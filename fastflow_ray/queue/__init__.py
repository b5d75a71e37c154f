"""The job queue: its promise (`contract.py`), Redis behind it, and an in-memory twin. Knows neither S3 nor Ray."""

from fastflow_ray.queue.opening import open_queue

__all__ = ["open_queue"]
