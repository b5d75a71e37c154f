"""Fault 6: the server's clock jumps by an hour, forth and back, and drifts; no worker that lives loses its job.

Collected where libfaketime is installed (Debian: apt-get install faketime).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from fake_clock import FakeClock, server_with_a_clock
from hands import ACCEPTED, reaping, threads
from stage import Stage

from fastflow_ray.queue.contract import Verdict

LEASE_S, BEAT_S, GRACE_S = 2.0, 0.3, 2.0
HOUR_S = 3600


@pytest.fixture
def on_a_clock(make_stage: Callable[..., Stage], tmp_path: Path) -> Iterator[tuple[Stage, FakeClock]]:
    with server_with_a_clock(tmp_path / "clocked") as (server, clock):
        yield make_stage(server.url), clock


@contextmanager
def live_workers(stage: Stage, count: int) -> Iterator[None]:
    """Each holds one job and beats until it may complete it."""
    stage.submit(count)

    def hold(number: int, leave: threading.Event) -> None:
        queue = stage.recorded(f"holder-{number}")
        claim = queue.claim(f"holder-{number}", LEASE_S)
        assert claim
        while not leave.wait(BEAT_S):
            if queue.heartbeat(claim) is Verdict.LOST:
                return
        queue.complete(claim, ACCEPTED)

    with threads(count, hold):
        time.sleep(2 * BEAT_S)
        yield


def requeues(stage: Stage) -> int:
    return sum(bool(e.facts["answer"]) for e in stage.events() if e.op == "requeue" and e.kind == "answer")


def server_time_s(stage: Stage) -> float:
    with redis.Redis.from_url(stage.redis_url) as client:
        seconds, _ = client.time()
        return float(seconds)


def jump_about(stage: Stage, clock: FakeClock, stay_s: float, grace_s: float) -> None:
    """An hour ahead, back, an hour behind, back, then a clock that goes half as fast again, and one half as fast."""
    struck = 0
    with reaping(stage, grace_s=grace_s), live_workers(stage, 20):
        for offset in (f"+{HOUR_S}", "+0", f"-{HOUR_S}", "+0", "+0 x1.5", "+0 x0.5"):
            before_s = server_time_s(stage)
            clock.set(offset)
            stage.history.note("clock", offset=offset)
            struck += abs(server_time_s(stage) - before_s) > HOUR_S / 2 or "x" in offset
            time.sleep(stay_s)
    stage.figures["struck"] = {"clock changes": struck}
    assert struck == 6


def test_no_live_job_is_taken_whatever_the_clock_says(on_a_clock: tuple[Stage, FakeClock]) -> None:
    stage, clock = on_a_clock
    jump_about(stage, clock, stay_s=GRACE_S + 4 * BEAT_S, grace_s=GRACE_S)
    assert requeues(stage) == 0
    stage.settle(timeout_s=10)
    assert stage.judge() == []


def test_control_a_reaper_without_grace_takes_live_jobs(on_a_clock: tuple[Stage, FakeClock]) -> None:
    stage, clock = on_a_clock
    with reaping(stage, grace_s=0.0), live_workers(stage, 20):
        clock.set(f"+{HOUR_S}")
        time.sleep(4 * BEAT_S)
    stage.figures["struck"] = {"clock changes": 1, "live jobs requeued": requeues(stage)}
    assert requeues(stage) > 0


def test_a_dead_workers_job_is_taken_though_the_clock_went_back(on_a_clock: tuple[Stage, FakeClock]) -> None:
    """Its deadline then lies an hour ahead."""
    stage, clock = on_a_clock
    stage.submit(1)
    assert stage.recorded("dead").claim("dead", LEASE_S)
    clock.set(f"-{HOUR_S}")
    with reaping(stage, grace_s=GRACE_S):
        time.sleep(LEASE_S + 2 * GRACE_S)
    assert requeues(stage) == 1
