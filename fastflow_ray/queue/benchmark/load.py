"""Puts load on a server and measures: how long claims take, how much of a core heartbeats take. Tells nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.connection import Connection
from fastflow_ray.queue.contract import Claim, JobQueue, Progress
from fastflow_ray.queue.opening import open_queue

TENANTS = 10
LEASE_S = 3_600.0


@dataclass(frozen=True)
class Claims:
    """Round trips of claims while so many jobs waited."""

    queued: int
    claims: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    server_p99_ms: float  # of that, what the server itself took
    submits_per_s: float  # by one client, one after the other


@dataclass(frozen=True)
class Beats:
    """What heartbeats cost the server."""

    workers: int
    beat_s: float  # between two beats of one worker
    seconds: float  # measured
    beats: int
    p99_ms: float
    core_share: float  # processor time of the server over the time by the clock


def measure_claims(url: str, queued: int, claims: int) -> Claims:
    """Fill a queue from ten tenants, then claim from it; every claim by another worker."""
    with closing(open_queue(url, "claims", max_queued=queued)) as queue, closing(Connection(url)) as connection:
        began_s = time.perf_counter()
        _fill(queue, queued)
        submits_per_s = queued / (time.perf_counter() - began_s)
        connection.ask(lambda client: client.config_resetstat())
        times_ms = sorted(_timed_ms(lambda n=n: queue.claim(f"w-{n}", LEASE_S)) for n in range(claims))  # type: ignore[misc]
        server_ms = _server_p99_ms(connection)
    return Claims(queued, claims, _at(times_ms, 0.5), _at(times_ms, 0.99), times_ms[-1], server_ms, submits_per_s)


def measure_beats(url: str, workers: int, beat_s: float, seconds: float) -> Beats:
    """So many workers, each with a job, beat one after the other at even distances, as a fleet's do on the whole."""
    with closing(open_queue(url, "beats", max_queued=workers)) as queue, closing(Connection(url)) as connection:
        _fill(queue, workers)
        claims = [claim for n in range(workers) if (claim := queue.claim(f"w-{n}", LEASE_S))]
        cpu_s, began_s = _cpu_s(connection), time.monotonic()
        times_ms = sorted(_beat(queue, claims, beat_s, seconds))
        took_s = time.monotonic() - began_s
        core_share = (_cpu_s(connection) - cpu_s) / took_s
    return Beats(workers, beat_s, took_s, len(times_ms), _at(times_ms, 0.99), core_share)


def _fill(queue: JobQueue, jobs: int) -> None:
    for n in range(jobs):
        queue.submit(VideoJob(prompt="a small red circle", seed=n, tenant=f"tenant-{n % TENANTS}"))


def _beat(queue: JobQueue, claims: Sequence[Claim], beat_s: float, seconds: float) -> list[float]:
    """Milliseconds per beat. Who is late catches up, so that the number of beats is as told."""
    began_s, times_ms = time.monotonic(), []
    for n in range(max(1, round(seconds * len(claims) / beat_s))):
        time.sleep(max(0.0, began_s + n * beat_s / len(claims) - time.monotonic()))
        claim, progress = claims[n % len(claims)], Progress("sample", n % 50, 50, n % 20, n % 30, 12.5)
        times_ms.append(_timed_ms(lambda: queue.heartbeat(claim, progress)))  # noqa: B023  # called at once
    return times_ms


def _timed_ms(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began_s)


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _server_p99_ms(connection: Connection) -> float:
    """Of all scripts since its statistics were reset; 0 for servers before 7.0, which keep none."""
    told: Any = connection.ask(lambda client: client.info("latencystats"))
    return float(told.get("latency_percentiles_usec_evalsha", {}).get("p99", 0.0)) / 1000


def _cpu_s(connection: Connection) -> float:
    used: Any = connection.ask(lambda client: client.info("cpu"))
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
