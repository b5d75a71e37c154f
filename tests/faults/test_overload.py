"""Fault 11: more work than the queue takes, from tenants of very different appetite, on a server with little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import redis
from stage import Stage, job_of

from fastflow_ray.errors import QueueFull, QueueUnavailable
from fastflow_ray.queue.embedded import EmbeddedValkey

APPETITE = {"glutton": 10_000, "small": 10, "middle": 100}
MEMORY = 64 * 2**20  # bytes
PROMPT = "a film " * 280  # near the longest a job may have


@pytest.fixture
def tight_server(own_server: EmbeddedValkey) -> EmbeddedValkey:
    """A server with 64 MiB."""
    with redis.Redis.from_url(own_server.url) as client:
        client.config_set("maxmemory", MEMORY)
        client.config_set("appendfsync", "everysec")  # nothing dies here, and it is a thousand times faster
    return own_server


def used_bytes(server: EmbeddedValkey) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("memory")["used_memory"])


@pytest.mark.fault
def test_everybody_gets_his_share(make_stage: Callable[..., Stage], tight_server: EmbeddedValkey) -> None:
    """While all have work waiting, each tenant gets a third within 5 %; then the others' share is divided anew."""
    stage = make_stage(tight_server.url, limits={"max_queued": sum(APPETITE.values())})
    for tenant, jobs in APPETITE.items():
        for number in range(jobs):
            stage.queue.submit(job_of(number, tenant=tenant))
    got = Counter[str]()
    shares = []
    for _ in range(300):
        claim = stage.queue.claim("w", 60.0)
        assert claim
        record = stage.queue.get(claim.job_id)
        assert record
        got[record.tenant] += 1
        if got.total() in (30, 210):
            shares.append(dict(got))
    stage.figures |= {"struck": {"jobs at once": sum(APPETITE.values())}, "shares": shares, "jobs": got.total()}
    for tenant in APPETITE:  # all three have work until the small one's ten are gone
        assert abs(shares[0][tenant] / 30 - 1 / 3) <= 0.05
    assert shares[1]["small"] == APPETITE["small"]
    assert abs(shares[1]["glutton"] / 200 - shares[1]["middle"] / 200) <= 0.05


@pytest.mark.fault
def test_a_full_queue_says_so_and_the_server_keeps_its_memory(
    make_stage: Callable[..., Stage], tight_server: EmbeddedValkey
) -> None:
    stage = make_stage(tight_server.url)
    jobs = submit_until_refused(stage, QueueFull)
    stage.figures |= {"struck": {"refused": 1}, "jobs": jobs, "MiB": used_bytes(tight_server) / 2**20}
    assert jobs == stage.queue.depth().queued
    assert used_bytes(tight_server) < MEMORY


def submit_until_refused(stage: Stage, refusal: type[Exception]) -> int:
    """How many long jobs the queue takes before it refuses one in this way."""
    for number in range(100_000):
        try:
            stage.queue.submit(job_of(number, PROMPT))
        except refusal:
            return number
    raise AssertionError("it takes whatever comes")


@pytest.mark.fault
def test_a_queue_without_a_limit_leaves_the_server_memory_for_jobs_to_end_in(
    make_stage: Callable[..., Stage], tight_server: EmbeddedValkey
) -> None:
    stage = make_stage(tight_server.url, limits={"max_queued": 10**6})
    jobs = submit_until_refused(stage, QueueFull)
    stage.figures |= {"struck": {"refused": 1}, "jobs": jobs, "MiB": used_bytes(tight_server) / 2**20}
    assert 0.85 * MEMORY < used_bytes(tight_server) < 0.95 * MEMORY


@pytest.mark.fault
def test_control_without_any_limit_the_server_runs_out_of_memory(
    make_stage: Callable[..., Stage], tight_server: EmbeddedValkey
) -> None:
    stage = make_stage(tight_server.url, limits={"max_queued": 10**6, "max_memory_share": 2.0})
    submit_until_refused(stage, QueueUnavailable)
    stage.figures["struck"] = {"refused by the server": 1}
    assert used_bytes(tight_server) >= 0.99 * MEMORY
