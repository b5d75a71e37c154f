"""Whether the in-memory twin takes one more job, and how long that would wait."""

from __future__ import annotations

from collections import Counter

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.memory_state import WAITING, MemoryState
from fastflow_ray.queue.submission import full, tenant_full, too_late


def admit(state: MemoryState, queue: str, job: VideoJob) -> None:
    """Raises QueueFull over a limit, DeadlineTooTight if the job would not begin in time."""
    waiting = [other.tenant for other in state.jobs.values() if other.state in WAITING]
    wait_s = predicted_wait_s(state, job.lane or Lane.STANDARD, job.tenant)
    if len(waiting) >= state.limits.max_queued:
        raise full(queue, state.limits.max_queued, wait_s)
    most = state.turns.allowed(job.tenant).max_queued
    if most is not None and waiting.count(job.tenant) >= most:
        raise tenant_full(job.tenant, most, wait_s)
    if job.deadline_s is not None and not job.delay_s and wait_s is not None and wait_s >= job.deadline_s:
        raise too_late(job, wait_s)


def predicted_wait_s(state: MemoryState, lane: Lane, tenant: str) -> float | None:
    """How long a new job of that seat would wait; None: nothing is known."""
    running = sum(1 for _ in state.within(JobState.RUNNING))
    if state.attempt_s is None or not running:
        return None
    ahead = 0.0
    for each in Lane:
        ready = Counter(job.tenant for job in state.within(JobState.QUEUED) if job.lane is each and not job.look_only)
        seated = {other for other in ready if not state.at_cap(other)}  # the jobs of others cannot begin now
        ready_here = sum(ready[other] for other in seated)
        if each is lane:
            weight = state.turns.weight_of(tenant)
            weights = sum(state.turns.weight_of(other) for other in seated | {tenant})
            ahead += min(ready_here, (ready[tenant] + 1) * weights / weight - 1)
            break
        ahead += ready_here
    return ahead * state.attempt_s / running
