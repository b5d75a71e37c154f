"""`fastflow-ray serve`: the HTTP API on this machine, under uvicorn or as a Ray Serve application."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from fastflow_ray.cli.options import DEFAULT_REDIS, DEFAULT_STORE
from fastflow_ray.errors import FastFlowError, InvalidInput
from fastflow_ray.settings import Settings
from orchestration.api.app import open_app

GRACE_S = 10  # for answers under way when the server is asked to stop
REFUSALS = (errno.EADDRINUSE, errno.EACCES)  # any other may be of one address in several, as IPv6 where there is none
log = logging.getLogger(__name__)

Host = Annotated[str, typer.Option(help="Address to listen on; the default is this machine alone.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
RedisUrl = Annotated[str | None, typer.Option("--redis", metavar="URL", help=DEFAULT_REDIS)]
StoreUrl = Annotated[str | None, typer.Option("--store", metavar="URL", help=DEFAULT_STORE)]
ApiKeyFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Demand the key in this file. Default: FASTFLOW_API_KEY, if set.")
]
OnRay = Annotated[bool, typer.Option("--ray", help="As a Ray Serve application, in the Ray that runs here or its own.")]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    redis: RedisUrl = None,
    store: StoreUrl = None,
    api_key_file: ApiKeyFile = None,
    ray: OnRay = False,
) -> None:
    """Answer the HTTP API (/v1/videos, as the openai client speaks it) until interrupted."""
    settings = Settings.from_environment()
    redis_url, store_url = redis or settings.redis_url, store or settings.store_url
    api_key = _key_in(api_key_file) if api_key_file else settings.api_key
    if api_key is None and not _is_loopback(host):
        log.warning("anybody who reaches %s:%d may use this server; demand a key with --api-key-file", host, port)
    if ray:
        from orchestration.serve_app import serve_on_ray  # importing Ray takes seconds that uvicorn need not wait

        serve_on_ray(redis_url, store_url, api_key, settings.limits, host, port)
    else:
        _check_free(host, port)
        app = open_app(redis_url, store_url, api_key, **settings.limits)
        server = _Server(
            uvicorn.Config(app, host=host, port=port, timeout_graceful_shutdown=GRACE_S), app.state.leaving
        )
        with suppress(KeyboardInterrupt):  # which uvicorn passes on once it has finished
            server.run()


class _Server(uvicorn.Server):
    """Tells the application that it leaves; uvicorn does so only after the last answer."""

    def __init__(self, config: uvicorn.Config, leaving: asyncio.Event) -> None:
        super().__init__(config)
        self._leaving = leaving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._leaving.set()
        await super().shutdown(sockets)


def _check_free(host: str, port: int) -> None:
    """Raise FastFlowError where nobody may listen; uvicorn would tell it in a log of its own, after it has started."""
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            _probe(family, address)
    except OSError as refused:
        raise FastFlowError(
            f"cannot listen on {host}:{port}: {refused.strerror}; choose another --host or --port"
        ) from None


def _probe(family: int, address: Any) -> None:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn: a server that left is no bar
            probe.bind(address)
    except OSError as refused:
        if refused.errno in REFUSALS:
            raise


def _key_in(file: Path) -> str:
    """The key, without the newline that editors add; raises InvalidInput."""
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read the API key from {file}: {error}") from None
    if not key:
        raise InvalidInput(f"{file} holds no API key; write one into it, such as the output of `openssl rand -hex 32`")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
