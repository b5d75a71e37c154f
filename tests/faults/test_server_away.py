"""Faults 4 and 5: a power cut takes the end of the server's log; the server is away for longer than a lease."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from checker import Violation
from hands import ACCEPTED, GRACE_S, LEASE_S, clients, hands, reaping, submit_again, threads
from history import Event
from mutants import COUNTED_FENCE, mistake
from server_faults import copy_log, cut_power, kill
from stage import Stage

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.queue.contract import JobQueue, Verdict
from fastflow_ray.queue.embedded import EmbeddedValkey

BEAT_S = 0.3


def lose_power_repeatedly(stage: Stage, server: EmbeddedValkey, times: int, folder: Path) -> None:
    """Each time the disk holds what it held a moment before; clients then submit again what is gone."""
    with hands(stage, 4), reaping(stage):
        for number in range(times):
            with clients(stage, 2):
                time.sleep(stage.rng.uniform(0.3, 0.6))
                copying_s = time.monotonic()
                copy_log(server, folder / f"copy-{number}")
                copied_s = time.monotonic()
                time.sleep(stage.rng.uniform(0.1, 0.4))
                cutting_s = time.monotonic()
                cut_power(server, folder / f"copy-{number}")
            assert_only_the_window_is_lost(stage, copying_s, copied_s, cutting_s)
        stage.settle(timeout_s=60)
    stage.figures["struck"] = {"power cuts": times}


def assert_only_the_window_is_lost(stage: Stage, copying_s: float, copied_s: float, cutting_s: float) -> None:
    """All of it, or the cut was none; and it is back as soon as it is submitted again."""
    submits = [e for e in stage.events() if e.op == "submit"]
    acknowledged = {e.job: e for e in submits if e.kind == "answer"}
    lost = [e for job, e in acknowledged.items() if stage.queue.get(job or "") is None]
    assert [e for e in lost if e.at_s < copying_s] == []
    began_s = {e.facts["seed"]: e.at_s for e in reversed(submits) if e.kind == "call"}  # the first call of each
    window = {e.job for e in acknowledged.values() if copied_s < began_s[e.facts["seed"]] and e.at_s < cutting_s}
    assert window <= {e.job for e in lost}
    stage.figures["lost and submitted again"] = stage.figures.get("lost and submitted again", 0) + len(lost)
    submit_again(stage, [e.facts["seed"] for e in lost])
    assert all(stage.queue.get(e.job or "") for e in lost)


@pytest.mark.fault
def test_ten_power_cuts(stage: Stage, own_server: EmbeddedValkey, tmp_path: Path) -> None:
    lose_power_repeatedly(stage, own_server, times=10, folder=tmp_path)
    assert stage.judge(server_forgets=True) == []
    assert stage.figures["lost and submitted again"] > 0


@pytest.mark.fault
def test_control_a_fence_that_only_counts_is_issued_twice(
    stage: Stage, own_server: EmbeddedValkey, tmp_path: Path
) -> None:
    with mistake(COUNTED_FENCE, "claim"):
        lose_power_repeatedly(stage, own_server, times=3, folder=tmp_path)
    assert "I3" in {violation.invariant for violation in stage.judge(server_forgets=True)}


def stay_away(stage: Stage, server: EmbeddedValkey, grace_s: float) -> list[Event]:
    """Fifty workers hold jobs while the server is down for three leases; which jobs were taken from them."""
    stage.submit(50)

    def hold(number: int, leave: threading.Event) -> None:
        queue = stage.recorded(f"holder-{number}")
        claim = queue.claim(f"holder-{number}", LEASE_S)
        assert claim
        while not leave.wait(BEAT_S):
            if _beat(queue, claim) is Verdict.LOST:
                return
        queue.complete(claim, ACCEPTED)

    with reaping(stage, grace_s=grace_s), threads(50, hold):
        time.sleep(2 * BEAT_S)
        kill(server)
        time.sleep(3 * LEASE_S)
        server.start()
        time.sleep(max(grace_s, GRACE_S) + 7.0)  # the longest pause of a worker that tries again is 2.5 s
    stage.figures["struck"] = {"server away, leases": 3}
    return [e for e in stage.events() if e.op == "requeue" and e.kind == "answer" and e.facts["answer"]]


def _beat(queue: JobQueue, claim: object) -> Verdict | None:
    try:
        return queue.heartbeat(claim)  # type: ignore[arg-type]
    except QueueUnavailable:
        return None


@pytest.mark.fault
def test_fifty_workers_keep_their_jobs_while_the_server_is_away(stage: Stage, own_server: EmbeddedValkey) -> None:
    """The grace exceeds two beats and the longest time in which a lost connection is tried again."""
    assert stay_away(stage, own_server, grace_s=6.0) == []
    stage.settle(timeout_s=10)
    violations: list[Violation] = stage.judge()
    assert violations == []


@pytest.mark.fault
def test_control_without_a_grace_they_lose_them(stage: Stage, own_server: EmbeddedValkey) -> None:
    taken = stay_away(stage, own_server, grace_s=0.0)
    stage.figures["struck"] = {"live jobs requeued": len(taken)}
    assert taken
