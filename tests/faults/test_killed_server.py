"""Fault 3: the server is killed again and again under clients and workers, and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from checker import Violation
from hands import clients, hands, reaping
from history import Event
from server_faults import kill_and_start
from stage import Stage

from fastflow_ray.queue.embedded import EmbeddedValkey

FIRST_CLAIM_S = 2.0  # after a restart, promised
FORGIVEN_S = 2.0  # before a kill: what a server that syncs once a second may have answered and not yet written


def kill_repeatedly(stage: Stage, server: EmbeddedValkey, times: int) -> None:
    """At random moments, half a second apart on average."""
    with hands(stage, 4), reaping(stage):
        with clients(stage, 3):
            for _ in range(times):
                time.sleep(stage.rng.uniform(0.2, 0.8))
                stage.history.note("server killed")
                kill_and_start(server)
                stage.history.note("server back")
        stage.settle(timeout_s=60)
    stage.figures |= {"struck": {"server SIGKILL": times}, "promised_s": FIRST_CLAIM_S}
    stage.figures["recovery_s"] = slowest_first_claim_s(stage.events())


def slowest_first_claim_s(events: list[Event]) -> float | None:
    """From the moment the server answers again to the first job that is claimed."""
    claims = [e.at_s for e in events if e.op == "claim" and e.kind == "answer" and e.job]
    backs = [e.at_s for e in events if e.op == "server back"]
    return max(
        (min((at_s for at_s in claims if at_s > back_s), default=back_s) - back_s for back_s in backs), default=None
    )


def test_a_killed_server_that_syncs_always_loses_nothing(stage: Stage, own_server: EmbeddedValkey) -> None:
    kill_repeatedly(stage, own_server, times=5)
    assert stage.judge() == []


def test_control_without_a_log_submits_are_lost(stage: Stage, own_server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(own_server.url) as client, hands(stage, 1), reaping(stage):
        client.config_set("appendonly", "no")
        with clients(stage, 3):
            time.sleep(0.5)
            kill_and_start(own_server)
        stage.settle(timeout_s=60)
    stage.figures["struck"] = {"server SIGKILL": 1}
    assert "I1" in {violation.invariant for violation in stage.judge()}


@pytest.mark.fault
def test_thirty_kills_of_a_server_that_syncs_always(stage: Stage, own_server: EmbeddedValkey) -> None:
    kill_repeatedly(stage, own_server, times=30)
    assert stage.judge() == []


@pytest.mark.fault
def test_thirty_kills_of_a_server_that_syncs_once_a_second(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    """It may lose what it acknowledged while a sync dragged on, and nothing else."""
    with EmbeddedValkey(tmp_path / "everysec") as server:
        stage = make_stage(server.url)
        kill_repeatedly(stage, server, times=30)
        lost = [violation.job for violation in stage.judge() if violation.invariant == "I1"]
        stage.figures["forgiven"] = len(lost)
        kills = [e.at_s for e in stage.events() if e.op == "server killed"]
        for job in lost:
            acked_s = min(e.at_s for e in stage.events() if e.op in ("submit", "complete") and e.job == job)
            assert any(0 <= killed_s - acked_s <= FORGIVEN_S for killed_s in kills)
            violations: list[Violation] = stage.judge(server_forgets=bool(lost))
        assert violations == []
