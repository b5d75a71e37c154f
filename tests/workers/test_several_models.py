"""A worker of two models: one on the device at a time, each job by its own, and changes counted."""

from __future__ import annotations

from pathlib import Path

from one_worker import LEASE_S
from two_queues import TwoQueues
from waiting import wait_for

from fastflow_ray.jobs.states import JobState
from fastflow_ray.models.engine import OnStep, StepReport
from fastflow_ray.storage.folder import FolderStore
from fastflow_ray.storage.seal import sealed


def test_it_stays_with_its_model_and_then_changes_once(two: TwoQueues) -> None:
    jobs = [(model, two.submit(model, seed)) for seed in range(2) for model in ("b", "a")]
    two.clock.now_s += 1.0
    two.worker.run(jobs=4)
    assert [two.state(*job) for job in jobs] == [JobState.SUCCEEDED] * 4
    assert two.loads == ["a", "b"]
    assert two.alive == [0, 0], "the one before was gone when the next was read"
    of = two.sums.models
    assert of["began"] == of["ended"] == of["was_busy"] == ["a", "a", "b", "b"]
    assert (of["loaded"], of["switched"], of["was_idle"][-1]) == (["a", "b"], ["b"], "b")
    assert (two.worker.status().model, two.worker.status().switches, two.sums.switches) == ("b", 1, 1)
    for model, job_id in jobs:
        record = two.queues[model].get(job_id)
        assert record is not None
        assert record.result is not None
        assert record.result["model"] == model


def test_an_attempt_that_ends_before_it_needs_its_model_leaves_the_one_before(two: TwoQueues, tmp_path: Path) -> None:
    job_id = two.submit("b", 1)
    unreadable = sealed({"schema_version": 2})  # what a newer version published
    FolderStore(tmp_path / "store").put_bytes(f"jobs/{job_id}/result.json", unreadable, "application/json")
    two.worker.run(jobs=1)
    assert two.state("b", job_id) is JobState.DELAYED
    assert (two.loads, two.worker.status().model) == (["a"], "a")


def test_its_card_lies_on_both_queues_all_through_a_long_job(two: TwoQueues) -> None:
    job_id = two.submit("a", 1)
    heard: list[str] = []

    def go_on_for_three_leases(report: StepReport, on_step: OnStep) -> None:
        if report.step == 2 and report.phase == "sample":
            for _ in range(6):
                two.clock.now_s += LEASE_S / 2
                (card,) = wait_for(lambda: [card for card in two.queues["b"].workers() if not card.silent_s])
                heard.append(f"{card.worker} {card.state} {card.job_id}")

    two.interfere = go_on_for_three_leases
    two.worker.run(jobs=1)
    assert heard == [f"w busy {job_id}"] * 6
    assert [queue.workers() for queue in two.queues.values()] == [[], []]
