"""The HTTP API as a Ray Serve application. A shell: the application itself is `orchestration.api.app`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from fastflow_ray.environment import MODELS
from fastflow_ray.models.catalogue import catalogue, own_models_file
from orchestration.api.app import open_app

NAME = "fastflow-api"


class VideoApi:
    """One replica; it keeps nothing, so any number may run."""

    def __init__(self, redis_url: str, store_url: str, api_key: str | None, limits: Mapping[str, Any]) -> None:
        self._arguments, self._limits = (redis_url, store_url, api_key), limits

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Built on the replica: connections and locks cannot travel."""
        return open_app(*self._arguments, **self._limits)


_deployment = serve.deployment(name="api", ray_actor_options={"num_cpus": 0})(serve.ingress()(VideoApi))


def deploy(
    redis_url: str, store_url: str, api_key: str | None, limits: Mapping[str, Any], host: str, port: int
) -> None:
    """Put the API into the Ray this process is connected to; returns once it answers."""
    serve.start(http_options={"host": host, "port": port})
    serve.run(_with_our_models().bind(redis_url, store_url, api_key, limits), name=NAME)


def _with_our_models() -> Any:
    """A Ray that was there before may not have been told of the operator's file."""
    file = own_models_file()
    if file is None:
        return _deployment
    told = {"env_vars": {MODELS: str(file.absolute())}}
    return _deployment.options(ray_actor_options={"num_cpus": 0, "runtime_env": told})


def serve_on_ray(
    redis_url: str, store_url: str, api_key: str | None, limits: Mapping[str, Any], host: str, port: int
) -> None:
    """Answer from the Ray that runs on this machine, or one of this process's own, until SIGINT or SIGTERM.

    Raises InvalidInput for a mistake in the file of the operator's models, before Ray is started.
    """
    catalogue()
    ray.init(include_dashboard=False)
    # Ray's own answer to SIGTERM is to abort, and so a pod would never end in peace.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    deploy(redis_url, store_url, api_key, limits, host, port)
    stop.wait()
    serve.delete(NAME)  # and nothing else: other applications may live in the same Ray
    ray.shutdown()
