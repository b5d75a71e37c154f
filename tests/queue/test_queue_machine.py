"""Random lives of many jobs against a model simple enough to be believed, on Redis and on the twin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fastflow_ray.errors import QueueFull
from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import TERMINAL, TRANSITIONS, JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.contract import Claim, Expired, Verdict
from fastflow_ray.queue.share import Share

# Time passes in steps of 10 s and every deadline lies in the middle of a step, so that the milliseconds a real server
# takes never decide an outcome. The backoff of the stage is 5 s.
LEASE_S, DELAY_S, STEP_S, DEADLINE_S = 55.0, 25.0, 10.0, 135.0
MAX_ATTEMPTS, MAX_CRASHES = 2, 2
TENANTS = ["anna", "berta", "carl"]


@dataclass
class Model:
    """A job as it should be."""

    state: JobState
    place: tuple[int, int]
    lane: Lane
    tenant: str
    cost: float
    paid: float = 0.0
    until_s: float = 0.0  # due or deadline
    patience_s: float = math.inf
    deadline_s: float = math.inf
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    heartbeats: int = 0
    cancel: bool = False
    look: bool = False  # its result is only looked for, for it would have ended
    ends: JobState = JobState.DEAD  # so, unless it is found
    nonce: int = 0

    def go(self, state: JobState, until_s: float = 0.0) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} → {state}"
        self.state, self.until_s = state, until_s

    def look_once(self, ends: JobState) -> None:
        self.look, self.ends, self.deadline_s = True, ends, math.inf
        if self.state is not JobState.QUEUED:
            self.go(JobState.QUEUED)

    def end(self) -> None:
        self.go(JobState.CANCELLED if self.cancel else self.ends)

    def live_again(self, place: tuple[int, int], now_s: float) -> None:
        self.go(JobState.QUEUED)
        self.attempts = self.crashes = 0
        self.look = False
        self.deadline_s = now_s + self.patience_s
        self.place = place


class QueueMachine(RuleBasedStateMachine):
    stage: Any  # set by the test
    ids = Bundle("ids")
    claims = Bundle("claims")
    sightings = Bundle("sightings")

    def __init__(self) -> None:
        super().__init__()
        self.queue = self.stage.open(max_crashes=MAX_CRASHES)
        self.desk = self.stage.desk(self.queue)
        self.now_s = 0.0
        self.jobs: dict[str, Model] = {}
        self.fences: list[int] = []
        self.nonce = 0
        self.paused = False
        self.submitted = 0
        self.numbers = iter(range(1_000_000))
        self.shares = dict.fromkeys(TENANTS, Share())
        self.times: dict[tuple[Lane, str], float] = {}
        self.clocks = dict.fromkeys(Lane, 0.0)

    def place(self, priority: int) -> tuple[int, int]:
        return (-priority, next(self.numbers))

    @initialize(target=ids)
    def begin(self) -> Any:
        return multiple(*(self.submit(100, False, Lane.STANDARD, tenant, 1.0, False) for tenant in TENANTS * 2))

    @rule(
        target=ids,
        priority=st.sampled_from([100, 255]),
        delayed=st.booleans(),
        lane=st.sampled_from([Lane.INTERACTIVE, Lane.STANDARD]),
        tenant=st.sampled_from(TENANTS),
        cost=st.sampled_from([1.0, 2.5]),
        deadline=st.booleans(),
    )
    def submit(self, priority: int, delayed: bool, lane: Lane, tenant: str, cost: float, deadline: bool) -> Any:
        wish = {"priority": priority, "lane": lane, "tenant": tenant, "delay_s": DELAY_S if delayed else None}
        wish["deadline_s"] = DEADLINE_S if deadline else None
        job = VideoJob(prompt="x", seed=1, max_attempts=MAX_ATTEMPTS, **wish)
        most = self.shares[tenant].max_queued
        if most is not None and self.number_of(tenant, JobState.QUEUED, JobState.DELAYED) >= most:
            with pytest.raises(QueueFull):
                self.queue.submit(job, cost=cost)
            return multiple()
        job_id = self.queue.submit(job, cost=cost).job_id
        state = JobState.DELAYED if delayed else JobState.QUEUED
        self.submitted += 1
        self.jobs[job_id] = Model(state, self.place(priority), lane, tenant, cost, until_s=self.now_s + DELAY_S)
        self.set_deadline(job_id, wish["deadline_s"])
        return job_id

    def set_deadline(self, job_id: str, deadline_s: float | None) -> None:
        job = self.jobs[job_id]
        job.patience_s = math.inf if deadline_s is None else deadline_s
        job.deadline_s = self.now_s + job.patience_s

    def number_of(self, tenant: str, *states: JobState) -> int:
        return sum(job.tenant == tenant and job.state in states for job in self.jobs.values())

    @rule(
        tenant=st.sampled_from(TENANTS),
        weight=st.sampled_from([None, 2.0]),
        max_running=st.sampled_from([None, None, 0, 2]),
        max_queued=st.sampled_from([None, 3]),
    )
    def set_share(self, tenant: str, weight: float | None, max_running: int | None, max_queued: int | None) -> None:
        self.shares[tenant] = Share(weight, max_running, max_queued)
        self.desk.set_share(tenant, self.shares[tenant])

    def time_of(self, lane: Lane, tenant: str) -> float:
        return max(self.times.get((lane, tenant), 0.0), self.clocks[lane])

    def may_run(self, job: Model) -> bool:
        most = self.shares[job.tenant].max_running
        free = most is None or self.number_of(job.tenant, JobState.RUNNING) < most
        return job.state is JobState.QUEUED and free and not self.paused

    @rule(target=claims, unheard=st.sampled_from([False, False, True]))
    def claim(self, unheard: bool) -> Any:
        """Of one worker; `unheard`: the answer to the one before got lost."""
        if unheard and (given := self.given()):
            claim = self.queue.claim("w", LEASE_S, str(self.nonce))
            assert (claim.job_id, claim.fence, claim.attempt) == given
            job = self.jobs[claim.job_id]
            job.heartbeats, job.until_s = job.heartbeats + 1, self.now_s + LEASE_S
            return multiple()
        self.nonce += not unheard
        for job in self.jobs.values():
            if job.state is JobState.DELAYED and job.until_s <= self.now_s:
                job.go(JobState.QUEUED)
        order = {
            job_id: (list(Lane).index(job.lane), self.time_of(job.lane, job.tenant), job.tenant, job.place)
            for job_id, job in self.jobs.items()
            if self.may_run(job)
        }
        looks = {job_id for job_id, job in self.jobs.items() if job.state is JobState.QUEUED and job.look}
        claim = self.queue.claim("w", LEASE_S, str(self.nonce))
        if not order and not looks:
            assert claim is None
            return multiple()
        job_id = claim.job_id if looks else min(order, key=order.__getitem__)
        assert job_id in looks or not looks  # among several the order is nobody's promise
        job = self.jobs[job_id]
        assert (claim.job_id, claim.attempt, claim.crashes) == (job_id, job.attempts + 1, job.crashes)
        assert claim.look_only == job.look
        if job.look:
            job.paid = 0.0
        else:
            self.pay(job)
        job.go(JobState.RUNNING, self.now_s + LEASE_S)
        job.attempts, job.fence, job.heartbeats, job.nonce = claim.attempt, claim.fence, 0, self.nonce
        self.fences.append(claim.fence)
        return claim

    def given(self) -> tuple[str, int, int] | None:
        """What the latest claim took, if that still runs."""
        running = {job.fence: job_id for job_id, job in self.jobs.items() if job.state is JobState.RUNNING}
        job_id = running.get(self.fences[-1]) if self.fences else None
        job = self.jobs[job_id] if job_id else None
        return (job_id, job.fence, job.attempts) if job and job.nonce == self.nonce else None

    def pay(self, job: Model) -> None:
        self.clocks[job.lane] = self.time_of(job.lane, job.tenant)
        job.paid = job.cost / (self.shares[job.tenant].weight or 1.0)
        self.times[job.lane, job.tenant] = self.clocks[job.lane] + job.paid

    def mine(self, claim: Claim) -> Model | None:
        job = self.jobs.get(claim.job_id)
        return job if job and job.state is JobState.RUNNING and job.fence == claim.fence else None

    @rule(claim=claims)
    def heartbeat(self, claim: Claim) -> None:
        verdict = self.queue.heartbeat(claim)
        if job := self.mine(claim):
            job.heartbeats += 1
            job.until_s = self.now_s + LEASE_S
            assert verdict is (Verdict.CANCEL if job.cancel else Verdict.MINE)
        else:
            assert verdict is Verdict.LOST

    @rule(claim=claims)
    def complete(self, claim: Claim) -> None:
        accepted = self.queue.complete(claim, {"fence": claim.fence})
        if job := self.mine(claim):
            job.go(JobState.SUCCEEDED)
        known = self.jobs.get(claim.job_id)
        assert accepted == bool(known and known.state is JobState.SUCCEEDED and known.fence == claim.fence)

    @rule(claim=claims, retryable=st.booleans())
    def fail(self, claim: Claim, retryable: bool) -> None:
        state = self.queue.fail(claim, "oom", "no", retryable)
        job = self.mine(claim)
        if job is None:
            assert state is None
            return
        if job.cancel and not job.look:
            job.go(JobState.CANCELLED)
        elif retryable and claim.attempt - claim.crashes < MAX_ATTEMPTS and self.now_s + 5 < job.deadline_s:
            job.go(JobState.DELAYED, self.now_s + 5)
        elif job.look:
            job.end()
        else:
            job.go(JobState.DEAD)
        assert state is job.state

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        released = self.queue.release(claim)
        job = self.mine(claim)
        assert released == (job is not None)
        if job and job.cancel and not job.look:
            job.go(JobState.CANCELLED)
        elif job:
            job.attempts -= 1
            self.times[job.lane, job.tenant] = self.time_of(job.lane, job.tenant) - job.paid
            job.go(JobState.QUEUED)
            self.end_overdue()

    @rule(job_id=ids)
    def cancel(self, job_id: str) -> None:
        state = self.queue.cancel(job_id)
        job = self.jobs.get(job_id)
        if job and job.state not in TERMINAL:
            job.cancel = True
            if job.state is not JobState.RUNNING:
                job.go(JobState.CANCELLED)
        assert state == (job.state if job else None)

    @rule(steps=st.integers(1, 7))
    def time_passes(self, steps: int) -> None:
        self.stage.elapse(steps * STEP_S)
        self.now_s += steps * STEP_S
        self.end_overdue()

    def end_overdue(self) -> None:
        """Whoever looks at the depth does, and what comes back to the queue may be overdue by then."""
        self.queue.depth()
        for job in self.jobs.values():
            if job.state in (JobState.QUEUED, JobState.DELAYED) and job.deadline_s < self.now_s:
                if job.crashes:
                    job.look_once(JobState.DEAD)
                else:
                    job.go(JobState.DEAD)

    @rule(target=sightings)
    def look_for_the_dead(self) -> Any:
        expired = self.queue.expired()
        assert {(seen.job_id, seen.fence, seen.heartbeats) for seen in expired} == {
            (job_id, job.fence, job.heartbeats) for job_id, job in self.jobs.items() if self.late(job)
        }
        return multiple(*expired)

    def late(self, job: Model) -> bool:
        return job.state is JobState.RUNNING and job.until_s < self.now_s

    @rule(seen=sightings)
    def requeue(self, seen: Expired) -> None:
        state = self.queue.requeue(seen)
        job = self.jobs.get(seen.job_id)
        if job is None or not self.late(job) or (job.fence, job.heartbeats) != (seen.fence, seen.heartbeats):
            assert state is None
            return
        job.crashes += 1
        if job.look:
            job.end()
        elif job.cancel or job.crashes >= MAX_CRASHES:
            job.look_once(JobState.CANCELLED if job.cancel else JobState.DEAD)
        else:
            job.go(JobState.QUEUED)
        assert state is job.state
        self.end_overdue()

    @rule(crashes=st.integers(1, MAX_CRASHES))
    def workers_die(self, crashes: int) -> None:
        """Often enough that jobs come to be looked for only."""
        for _ in range(crashes):
            self.claim(unheard=False)
            self.time_passes(6)
            for seen in self.queue.expired():
                self.requeue(seen)

    @rule(job_id=ids)
    def redrive(self, job_id: str) -> None:
        redriven = self.queue.redrive(job_id)
        job = self.jobs.get(job_id)
        assert redriven == bool(job and job.state is JobState.DEAD)
        if job and redriven:
            job.live_again(self.place(-job.place[0]), self.now_s)

    def dead(self) -> dict[str, Model]:
        return {job_id: job for job_id, job in self.jobs.items() if job.state is JobState.DEAD}

    @precondition(lambda self: len(self.dead()) == 1)  # among several the order is nobody's promise
    @rule()
    def redrive_all(self) -> None:
        dead = self.dead()
        assert self.desk.redrive_all() == len(dead)
        for job in dead.values():
            job.live_again(self.place(-job.place[0]), self.now_s)

    @rule()
    def purge(self) -> None:
        dead = self.dead()
        assert self.desk.purge() == len(dead)
        for job_id in dead:
            del self.jobs[job_id]

    @rule(paused=st.sampled_from([False, False, True]))
    def pause_or_resume(self, paused: bool) -> None:
        self.paused = paused
        if paused:
            self.desk.pause("for a while")
        else:
            self.desk.resume()

    @rule(job_id=ids)
    def forget(self, job_id: str) -> None:
        forgotten = self.queue.forget(job_id)
        job = self.jobs.get(job_id)
        assert forgotten == bool(job and job.state in TERMINAL)
        if forgotten:
            del self.jobs[job_id]

    @invariant()
    def the_books_agree(self) -> None:
        listed = self.queue.list(limit=1000, newest_first=False)
        shown = {record.job_id: (record.state, record.attempts, record.crashes) for record in listed}
        assert shown == {job_id: (job.state, job.attempts, job.crashes) for job_id, job in self.jobs.items()}
        assert list(shown) == list(self.jobs)
        depth = self.queue.depth()
        counts = {state: getattr(depth, state) for state in JobState}
        assert counts == {state: sum(job.state is state for job in self.jobs.values()) for state in JobState}
        assert depth.submitted == sum(counts.values()) == len(self.jobs)
        assert (depth.paused is not None) == self.paused
        books = self.desk.books()
        assert list(books.complaints()) == []
        assert (books.submitted, books.on_the_books) == (self.submitted, len(self.jobs))

    @invariant()
    def fences_rise(self) -> None:
        assert self.fences == sorted(set(self.fences))


def test_random_lives_agree_with_the_model(stage, request) -> None:
    on_memory = request.node.callspec.params["stage"] == "memory"
    machine = type("Machine", (QueueMachine,), {"stage": stage})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60 if on_memory else 10,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
