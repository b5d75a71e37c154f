"""Whose job comes next on a worker of several models: rather of the one it holds, but nobody waits for ever."""

from __future__ import annotations

import pytest

from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue.limits import QueueLimits
from fastflow_ray.queue.memory_queue import MemoryQueue
from workers.rota import FIRST_REST_S, LONGEST_REST_S, LONGEST_TURN, PATIENCE_S, Line, Rota, order


@pytest.mark.parametrize(
    ("held_s", "others_s", "turn", "expected"),
    [
        (0.0, {}, 0, ["held"]),
        (0.0, {"b": 0.0}, 0, ["held", "b"]),
        (0.0, {"b": 0.0, "c": 1.0}, 0, ["held", "c", "b"]),
        (1.0, {"b": 30.0}, 0, ["held", "b"]),
        (0.0, {"b": 1.0, "c": 2.0}, 0, ["held", "c", "b"]),
        (1.0, {"b": PATIENCE_S + 1}, 0, ["b", "held"]),
        (PATIENCE_S + 2, {"b": PATIENCE_S + 1}, 0, ["held", "b"]),
        (PATIENCE_S + 2, {"b": 1.0}, LONGEST_TURN, ["b", "held"]),
        (1.0, {"b": 0.0}, LONGEST_TURN, ["held", "b"]),
    ],
)
def test_the_order(held_s: float, others_s: dict[str, float], turn: int, expected: list[str]) -> None:
    assert order(Line("held", held_s), [Line(*other) for other in others_s.items()], turn) == expected


def test_nobody_starves_however_much_there_is_of_the_model_that_is_held() -> None:
    """Simulated: of one model there is always a job, of the other two one each; the clock stands still."""
    now_s = [1_000.0]
    queues = {model: MemoryQueue(model, QueueLimits(), clock=lambda: now_s[0]) for model in ("a", "b", "c")}
    for model, jobs in {"a": 60, "b": 1, "c": 1}.items():
        for seed in range(jobs):
            queues[model].submit(VideoJob(prompt="a red circle", model=model, seed=seed))
    now_s[0] += 1.0
    rota, served = Rota(queues), ""
    for _ in range(62):
        queue, claim = next((queue, got) for queue in rota.queues() if (got := queue.claim("w", 60.0)))
        rota.took(queue.name)
        served += queue.name
        queue.complete(claim, {})
    assert served == "a" * LONGEST_TURN + "b" + "a" * LONGEST_TURN + "c" + "a" * LONGEST_TURN
    assert (rota.held, rota.switches) == ("a", 4)


def test_a_delayed_job_of_a_model_that_is_not_held_is_found_when_it_is_due() -> None:
    now_s = [1_000.0]
    queues = {model: MemoryQueue(model, QueueLimits(), clock=lambda: now_s[0]) for model in ("a", "b")}
    queues["b"].submit(VideoJob(prompt="a red circle", model="b", delay_s=30.0))
    now_s[0] += 31.0
    assert [queue.name for queue in Rota(queues).queues() if queue.claim("w", 60.0)] == ["b"]


def test_with_one_model_no_queue_is_asked_for_its_depth() -> None:
    class Shy(MemoryQueue):
        def depth(self) -> None:  # type: ignore[override]
            raise AssertionError("a round trip for nothing")

    queue = Shy("a", QueueLimits())
    assert Rota({"a": queue}).queues() == [queue]


class Bedroom:
    """The rota of three empty queues, and its clock."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.rota = Rota({model: MemoryQueue(model, QueueLimits()) for model in ("a", "b", "c")}, lambda: self.now_s)

    def awake(self) -> str:
        return "".join(queue.name for queue in self.rota.awake())


def test_a_model_at_rest_is_not_asked_for_jobs() -> None:
    bedroom = Bedroom()
    bedroom.rota.took("b")
    assert bedroom.rota.rest("b", "no weights") == FIRST_REST_S
    assert bedroom.rota.held == "", "the one before had to go for it"
    assert (bedroom.awake(), bedroom.rota.resting("b"), bedroom.rota.resting("a")) == ("ac", "no weights", "")
    assert [queue.name for queue in bedroom.rota.queues()] == ["a", "c"]
    bedroom.now_s += FIRST_REST_S
    assert (bedroom.awake(), bedroom.rota.resting("b")) == ("abc", "")


def test_rests_grow_up_to_a_bound_until_the_model_is_read() -> None:
    bedroom = Bedroom()
    rests_s = [bedroom.rota.rest("b", "no weights") for _ in range(2000)]
    assert rests_s[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, LONGEST_REST_S]
    assert set(rests_s[6:]) == {LONGEST_REST_S}
    bedroom.rota.holds("b")
    assert (bedroom.awake(), bedroom.rota.held) == ("abc", "b")
    assert bedroom.rota.rest("b", "no weights") == FIRST_REST_S


def test_it_is_hopeless_once_no_model_could_be_read_when_last_tried() -> None:
    bedroom = Bedroom()
    for model in ("a", "b"):
        bedroom.rota.rest(model, f"no {model}")
        assert not bedroom.rota.hopeless()
    bedroom.now_s += LONGEST_REST_S
    bedroom.rota.holds("a")
    bedroom.rota.rest("c", "no c")
    assert not bedroom.rota.hopeless()
    bedroom.rota.rest("a", "no a")
    assert bedroom.rota.hopeless() == "no b; no c; no a", "whether or not the first rests are over"
