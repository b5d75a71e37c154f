"""Fault 7: the network between the queue's users and its server is slow, silent, or loses answers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from checker import Violation
from hands import LEASE_S, clients, hands, reaping
from mutants import FORGETFUL_CLAIM, FORGETFUL_SUBMIT, mistake
from stage import Stage
from tcp_proxy import TcpProxy

from fastflow_ray.queue.connection import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, RECONNECT_PAUSES_S
from fastflow_ray.queue.embedded import EmbeddedValkey

HOLE_S = 45.0
PATIENCE_S = CONNECT_TIMEOUT_S + ANSWER_TIMEOUT_S + sum(RECONNECT_PAUSES_S)  # after which every call has an answer


def through(
    stage: Stage, proxy: TcpProxy, fault: Callable[[TcpProxy], None], lease_s: float = LEASE_S
) -> list[Violation]:
    """Clients, workers and the reaper all come through the proxy while it does its worst."""
    with hands(stage, 4, proxy.url, lease_s=lease_s), reaping(stage, proxy.url):
        with clients(stage, 2, proxy.url, pause_s=0.05):
            fault(proxy)
        stage.settle(timeout_s=60)
    stage.figures["struck"] = dict(proxy.struck)
    stage.figures |= {"recovery_s": slowest_call_s(stage), "promised_s": PATIENCE_S}
    assert proxy.struck.total() > 0
    return stage.judge()


def slowest_call_s(stage: Stage) -> float:
    calls = {(e.who, e.number): e.at_s for e in stage.events() if e.kind == "call"}
    return max(e.at_s - calls[e.who, e.number] for e in stage.events() if e.kind in ("answer", "error"))


def lose_answers(proxy: TcpProxy) -> None:
    proxy.lost_answers = 0.05
    time.sleep(10.0)
    proxy.lost_answers = 0.0


def swallow_everything(proxy: TcpProxy) -> None:
    time.sleep(1.0)
    proxy.black_hole = True
    time.sleep(HOLE_S)
    proxy.black_hole = False


def dawdle(proxy: TcpProxy) -> None:
    proxy.latency_s = 0.3
    time.sleep(15.0)
    proxy.latency_s = 0.0


def play_dead(proxy: TcpProxy) -> None:
    time.sleep(1.0)
    proxy.half_open = True
    time.sleep(15.0)
    proxy.half_open = False


@pytest.mark.fault
@pytest.mark.parametrize("fault", [swallow_everything, dawdle, play_dead])
def test_no_job_is_lost_and_nobody_waits_for_ever(
    stage: Stage, own_server: EmbeddedValkey, fault: Callable[[TcpProxy], None]
) -> None:
    with TcpProxy(own_server.port, stage.seed) as proxy:
        assert through(stage, proxy, fault) == []
    assert stage.figures["recovery_s"] < HOLE_S / 2, "nobody waited until the hole was closed"


def lose_answers_for_long(stage: Stage, server: EmbeddedValkey) -> list[Violation]:
    """Nobody dies, and no lease runs out that somebody knows of; a job may crash no more often than in production."""
    stage.limits = {}
    with TcpProxy(server.port, stage.seed) as proxy:
        return through(stage, proxy, lose_answers, lease_s=20.0)


def crashes(stage: Stage) -> int:
    return sum(record.crashes for record in stage.final.records) if stage.final else 0


@pytest.mark.fault
def test_lost_answers_count_as_no_crash(stage: Stage, own_server: EmbeddedValkey) -> None:
    assert lose_answers_for_long(stage, own_server) == []
    assert crashes(stage) == 0


@pytest.mark.fault
def test_control_a_claim_that_is_not_known_again_leaves_jobs_to_the_reaper(
    stage: Stage, own_server: EmbeddedValkey
) -> None:
    with mistake(FORGETFUL_CLAIM, "claim"):
        lose_answers_for_long(stage, own_server)
    assert crashes(stage) > 0


@pytest.mark.fault
def test_control_a_submit_that_may_not_be_repeated_is_found(stage: Stage, own_server: EmbeddedValkey) -> None:
    with TcpProxy(own_server.port, stage.seed) as proxy, mistake(FORGETFUL_SUBMIT, "submit"):
        found = {violation.invariant for violation in through(stage, proxy, lose_answers)}
    assert found & {"I2", "I3", "I7"}
