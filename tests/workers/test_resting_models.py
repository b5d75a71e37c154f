"""A model that a worker cannot read is left to others for a while; no job pays for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from two_queues import TwoQueues, why_not
from waiting import wait_for

from fastflow_ray.errors import ModelLoadFailed, UnknownModel
from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.queue.worker_card import RESTING, Service
from workers.ending import Fate
from workers.intake import WAIT_S
from workers.rota import FIRST_REST_S, PATIENCE_S
from workers.status import WorkerState


def first_in_line(two: TwoQueues, jobs: int) -> list[str]:
    """Jobs of b that have waited so long that they come before those of a."""
    ids = [two.submit("b", seed) for seed in range(jobs)]
    two.clock.now_s += PATIENCE_S + 1
    return ids


def untouched(two: TwoQueues, model: str, job_id: str) -> bool:
    record = two.queues[model].get(job_id)
    assert record is not None
    return (record.state, record.attempts, record.crashes) == (JobState.QUEUED, 0, 0)


def test_a_model_that_cannot_be_read_costs_its_jobs_nothing(two: TwoQueues, caplog: pytest.LogCaptureFixture) -> None:
    two.broken.add("b")
    left = first_in_line(two, jobs=3)
    made = [two.submit("a", seed) for seed in range(3)]
    two.worker.run(jobs=3)
    assert [two.state("a", job_id) for job_id in made] == [JobState.SUCCEEDED] * 3
    assert all(untouched(two, "b", job_id) for job_id in left)
    assert two.loads == ["a", "b", "a"], "it was tried once"
    assert [ending.reason for ending in two.sums.endings if ending.fate is Fate.RELEASED] == ["model_load"]
    assert caplog.text.count("! worker w rests b for 30 s: no weights of b; fetch them") == 1


def test_a_name_that_nobody_knows_is_no_fault_of_the_jobs(two: TwoQueues) -> None:
    two.broken.add("b")
    two.error = UnknownModel
    (left,) = first_in_line(two, jobs=1)
    two.submit("a", 1)
    two.worker.run(jobs=1)
    assert untouched(two, "b", left)


def test_the_job_goes_to_a_worker_that_can_read_the_model(
    two: TwoQueues, small_checkpoint: Path, tmp_path: Path
) -> None:
    two.broken.add("b")
    left = first_in_line(two, jobs=2)
    two.submit("a", 1)
    two.worker.run(jobs=1)
    two.broken.clear()
    two.another_worker("w-2").run(jobs=2)
    records = [two.queues["b"].get(job_id) for job_id in left]
    assert [(record.state, record.attempts) for record in records if record] == [(JobState.SUCCEEDED, 1)] * 2


def test_its_card_tells_what_it_rests_and_why(two: TwoQueues) -> None:
    two.broken.add("b")
    first_in_line(two, jobs=1)
    job_id = two.submit("a", 1)
    seen: list[str | None] = []

    def look(report: StepReport, on_step: OnStep) -> None:
        service = wait_for(lambda: next((one for one in services() if one.workers[0].state == RESTING), None))
        assert service.workers == [replace(service.workers[0], worker="w", job_id=job_id, why=why_not("b"))]
        seen.append(service.obstacle())

    services = lambda: [Service(model, queue.workers()) for model, queue in two.queues.items()]  # noqa: E731
    two.interfere = look
    two.worker.run(jobs=1)
    assert set(seen) == {f"all workers of b rest now; its jobs wait until one goes on: {why_not('b')}"}


def test_what_it_rests_it_neither_claims_nor_waits_for_until_it_tries_again(
    two: TwoQueues, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    two.broken.add("b")
    two.worker._rota._clock = two.clock
    (left,) = first_in_line(two, jobs=1)
    asked: list[str] = []
    for name in ("claim", "wait"):
        method = getattr(two.queues["b"], name)
        monkeypatch.setattr(two.queues["b"], name, lambda *given, m=method, n=name: (asked.append(n), m(*given))[1])
    waits: list[float] = []
    wait = two.queues["a"].wait
    monkeypatch.setattr(two.queues["a"], "wait", lambda timeout_s: (waits.append(timeout_s), wait(0.01))[1])
    with two.at_work():
        wait_for(lambda: len(waits) >= 3)
        assert asked == ["claim"]
        assert waits == [WAIT_S] * len(waits), "all of the time is for the queue that is awake"
        two.clock.now_s += FIRST_REST_S
        wait_for(lambda: "rests b for 60 s" in caplog.text)
        two.clock.now_s += FIRST_REST_S
        before = len(waits)
        wait_for(lambda: len(waits) >= before + 3)
        assert asked == ["claim"] * 2, "the second rest is longer"
        two.broken.clear()
        two.clock.now_s += FIRST_REST_S
        wait_for(lambda: two.state("b", left) is JobState.SUCCEEDED)
        wait_for(lambda: [card.state for card in two.queues["b"].workers()] == [WorkerState.IDLE])


def test_a_worker_begins_with_the_first_model_that_can_be_read(two: TwoQueues) -> None:
    two.broken.add("a")
    left, made = two.submit("a", 1), two.submit("b", 1)
    two.worker.run(jobs=1)
    assert untouched(two, "a", left)
    assert two.state("b", made) is JobState.SUCCEEDED
    assert (two.loads, two.sums.switches) == (["a", "b"], 0)


def test_a_worker_that_can_read_no_model_takes_no_job_and_says_why(two: TwoQueues) -> None:
    two.broken |= {"a", "b"}
    left = two.submit("a", 1)
    with pytest.raises(ModelLoadFailed, match=f"{why_not('a')}; {why_not('b')}"):
        two.worker.run()
    assert untouched(two, "a", left)
    assert two.sums.endings == []


def test_a_worker_whose_last_model_breaks_gives_its_job_back_and_ends(two: TwoQueues) -> None:
    first_in_line(two, jobs=1)
    two.interfere = lambda report, on_step: two.broken.update({"a", "b"})
    left = two.submit("a", 1)
    with two.at_work() as working:
        wait_for(lambda: [card.state for card in two.queues["a"].workers()] == [RESTING])
        last = two.submit("b", 2)
        error = working.exception(60)
    assert isinstance(error, ModelLoadFailed)
    assert str(error) == f"{why_not('a')}; {why_not('b')}"
    assert untouched(two, "a", left)
    assert untouched(two, "b", last)
    assert [queue.workers() for queue in two.queues.values()] == [[], []]
