"""Which of redis-py's clients a URL means, and how people are told where it leads. Passwords never reach that text.

    redis://[user:password@]host[:port][/db]           one server
    rediss://…                                         the same over TLS; ?ssl_ca_certs=… for a CA of one's own
    unix://[user:password@]/path.sock[?db=0]
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db]
    rediss+sentinel://…                                            servers over TLS, and their sentinels
    redis+cluster://[user:password@]host[:port][,host[:port]…]
    rediss+cluster://…

User and password are the servers'; ?sentinel_password=… and ?sentinel_username=… are for sentinels that ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

PORT, SENTINEL_PORT = 6379, 26379
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")  # options that name one


@dataclass(frozen=True)
class Door:
    """A client that has not connected yet, and the address to speak of."""

    open: Callable[[], redis.Redis]
    address: str
    guides: Sequence[redis.Redis] = ()  # who is asked for the way, and has to be closed too


def door_to(url: str, connect_timeout_s: float, answer_timeout_s: float) -> Door:
    """Raises ValueError for what no Redis URL is, TypeError or RedisError for options that such a server has
    not, and OSError for a file among them that cannot be read."""
    options: dict[str, Any] = {
        "protocol": 2,
        "decode_responses": True,
        "encoding_errors": "replace",  # bytes edited by hand must not break a reader
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": answer_timeout_s,
        "socket_keepalive": True,
    }
    never = Retry(NoBackoff(), 0)  # repeating is decided by whoever asks, script by script
    scheme, _, _ = url.partition("://")
    if scheme.startswith("rediss"):
        _check_files(urlsplit(url))
    match scheme.split("+"):
        case ["redis" | "rediss", "sentinel"]:
            return _behind_sentinels(urlsplit(url), {**options, "retry": never})
        case ["redis" | "rediss", "cluster"]:
            return _cluster(urlsplit(url), {**options, "retry": never})
    if scheme == "unix":
        del options["socket_keepalive"]  # a socket of this machine has no peer that could vanish
    client = redis.Redis.from_url(url, retry=never, **options)
    pool, where = client.connection_pool, client.connection_pool.connection_kwargs
    pool.connection_class(**where)  # the options are looked at here; nothing is connected yet
    address = where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', PORT)}"
    return Door(lambda: client, address)


def _check_files(url: SplitResult) -> None:
    """Redis-py would read them with the first question, and say that it cannot connect."""
    for option, path in parse_qsl(url.query):
        if option.removeprefix("sentinel_") in TLS_FILES:
            Path(path).open("rb").close()


def _behind_sentinels(url: SplitResult, options: Mapping[str, Any]) -> Door:
    """The primary is asked for anew whenever a connection is made, so a promoted replica is found by itself."""
    service, _, db = url.path.strip("/").partition("/")
    if not service or not (db or "0").isdigit():
        raise ValueError("no service")
    extra = dict(parse_qsl(url.query))
    theirs = {name.removeprefix("sentinel_"): extra.pop(name) for name in list(extra) if name.startswith("sentinel_")}
    hosts = _hosts(url, SENTINEL_PORT)
    tls = {"ssl": True, **extra} if url.scheme.startswith("rediss") else extra
    timeouts = {name: value for name, value in options.items() if name != "decode_responses"}
    kwargs = {**timeouts, **tls, **theirs, "decode_responses": True}
    sentinel = Sentinel(hosts, sentinel_kwargs=kwargs)  # type: ignore[no-untyped-call]  # redis-py's own
    ours = {**options, **tls, **_account(url), "db": int(db or 0)}
    client = sentinel.master_for(service, **ours)  # type: ignore[no-untyped-call]
    return Door(lambda: client, f"{service} behind the sentinels {_listed(hosts)}", sentinel.sentinels)


def _cluster(url: SplitResult, options: Mapping[str, Any]) -> Door:
    """One queue's keys share a slot, so each of its scripts runs on one node, which redis-py finds and follows."""
    hosts = _hosts(url, PORT)
    tls = {"ssl": True, **dict(parse_qsl(url.query))} if url.scheme.startswith("rediss") else {}

    settings: dict[str, Any] = {**options, **tls, **_account(url)}

    def connect() -> redis.Redis:
        nodes = [ClusterNode(host, port) for host, port in hosts]  # type: ignore[no-untyped-call]
        cluster: Any = RedisCluster(startup_nodes=nodes, **settings)
        return cast(redis.Redis, cluster)  # it speaks every command we use

    return Door(connect, f"the cluster at {_listed(hosts)}")


def _hosts(url: SplitResult, port: int) -> list[tuple[str, int]]:
    places = [urlsplit(f"//{place}") for place in url.netloc.rpartition("@")[2].split(",")]
    if not all(place.hostname for place in places):
        raise ValueError("no host")
    return [(str(place.hostname), place.port or port) for place in places]


def _account(url: SplitResult) -> dict[str, str]:
    user, _, password = url.netloc.rpartition("@")[0].partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    return {name: value for name, value in found.items() if value}


def _listed(hosts: list[tuple[str, int]]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in hosts)
