"""Lost jobs where no supervisor is."""

from __future__ import annotations

import pytest
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from workers.reaper_thread import ReaperThread

LEASE_S = 60.0


def state_of(queue: MemoryQueue, job_id: str) -> JobState:
    found = queue.get(job_id)
    assert found is not None
    return found.state


def test_a_silent_worker_s_job_is_queued_again_on_every_queue(caplog: pytest.LogCaptureFixture) -> None:
    now_s = [1_000.0]
    queues = [MemoryQueue(model, QueueLimits(), clock=lambda: now_s[0]) for model in ("a", "b")]
    ids = [queue.submit(VideoJob(prompt="a red circle", model=queue.name)).job_id for queue in queues]
    for queue in queues:
        assert queue.claim("w", LEASE_S)
    caplog.set_level("INFO")
    with ReaperThread(queues, grace_s=0.05, look_s=0.01):
        now_s[0] += LEASE_S + 1
        wait_for(lambda: [state_of(*each) for each in zip(queues, ids, strict=True)] == [JobState.QUEUED] * 2)
    assert f"{ids[1]} of b: its worker fell silent; now queued" in caplog.text


@pytest.mark.parametrize("error", [QueueUnavailable("the cable is out; put it back"), ZeroDivisionError("a defect")])
def test_neither_a_server_that_is_away_nor_a_defect_ends_the_watch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    now_s = [1_000.0]
    queue = MemoryQueue("a", QueueLimits(), clock=lambda: now_s[0])
    job_id = queue.submit(VideoJob(prompt="a red circle", model="a")).job_id
    assert queue.claim("w", LEASE_S)
    now_s[0] += LEASE_S + 1
    with ReaperThread([queue], grace_s=0.05, look_s=0.01):
        with monkeypatch.context() as broken:
            broken.setattr(queue, "expired", refuse)
            wait_for(lambda: f"no look at a for lost jobs: {error}" in caplog.text)
        wait_for(lambda: state_of(queue, job_id) is JobState.QUEUED)
