"""The checker finds each promise broken in a history that breaks it, and nothing in one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checker import FAULTS_STOP, SETTLED, Run, check
from final_state import FinalState, Published
from history import Event, History, read_histories
from stage import Stage

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobRecord, QueueDepth

FILE = {"key": "jobs/a/5/video.mp4", "sha256": "c0ffee"}
MANIFEST = {"fence": 5, "files": {"video": FILE}}


def record(job: str = "a", state: JobState = JobState.SUCCEEDED, crashes: int = 1) -> JobRecord:
    result = MANIFEST if state is JobState.SUCCEEDED else None
    return JobRecord(job, state, "", "default", attempts=2, crashes=crashes, created_s=0.0, result=result)


class Told:
    """A history written by hand; every line is a second later than the one before."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def ask(self, op: str, who: str = "w", **facts: Any) -> int:
        return self._add("call", op, who, len(self.events), facts)

    def answer(self, number: int, **facts: Any) -> None:
        call = self.events[number]
        self._add("answer", call.op, call.who, number, call.facts | facts)

    def both(self, op: str, answer: dict[str, Any], **facts: Any) -> None:
        self.answer(self.ask(op, **facts), **answer)

    def note(self, op: str) -> None:
        self._add("note", op, "test", len(self.events), {})

    def _add(self, kind: str, op: str, who: str, number: int, facts: dict[str, Any]) -> int:
        self.events.append(Event(float(len(self.events)), 0.0, who, kind, op, number, facts))
        return number


def good_life() -> Told:
    """One job, whose first worker died: claimed with fence 3, then with fence 5."""
    told = Told()
    told.both("submit", {"job": "a", "answer": "queued"}, seed=1)
    told.both("claim", {"job": "a", "fence": 3})
    told.both("requeue", {"answer": "queued"}, job="a", fence=3)
    told.both("claim", {"job": "a", "fence": 5})
    told.both("complete", {"answer": False}, job="a", fence=3, result_fence=3)
    told.both("complete", {"answer": True}, job="a", fence=5, result_fence=5)
    told.note(FAULTS_STOP)
    told.note(SETTLED)
    return told


GOOD_END = FinalState(
    [record()], QueueDepth(succeeded=1, submitted=1), {"a": Published(MANIFEST, {FILE["key"]: "c0ffee"})}
)


def broken(told: Told, final: FinalState = GOOD_END, **kind: Any) -> set[str]:
    return {violation.invariant for violation in check(Run(told.events, final, **{"settle_s": 60.0} | kind))}


def end(*records: JobRecord, **depth: int) -> FinalState:
    return replace(GOOD_END, records=records, depth=QueueDepth(**depth))


def test_a_good_life_breaks_nothing() -> None:
    assert broken(good_life()) == set()


def test_a_lost_submit() -> None:
    assert broken(good_life(), end()) == {"I1"}


def test_a_lost_submit_is_forgiven_to_a_server_whose_log_was_cut() -> None:
    assert broken(good_life(), end(), server_forgets=True) == set()


def test_a_forgotten_completion() -> None:
    dead = end(record(state=JobState.DEAD), dead=1, submitted=1)
    assert broken(good_life(), dead, bad={"a"}) == {"I1"}


def test_two_completions() -> None:
    told = good_life()
    told.both("claim", {"job": "a", "fence": 7})
    told.both("complete", {"answer": True}, job="a", fence=7, result_fence=7)
    assert "I2" in broken(told)
    assert "I2" in broken(told, server_forgets=True)


def test_a_server_that_forgot_may_accept_the_same_result_again() -> None:
    told = good_life()
    told.both("claim", {"job": "a", "fence": 7})
    told.both("complete", {"answer": True}, job="a", fence=7, result_fence=5)
    assert broken(told, server_forgets=True) == set()


@pytest.mark.parametrize("fence", [4, 5])
def test_a_fence_that_does_not_rise(fence: int) -> None:
    told = good_life()
    told.both("claim", {"job": "a", "fence": fence})
    told.both("fail", {"answer": None}, job="a", fence=3)
    assert "I3" in broken(told)


def test_a_fence_of_another_job_issued_again() -> None:
    told = good_life()
    told.both("claim", {"job": "b", "fence": 5})
    assert broken(told) == {"I3"}


def test_a_completion_that_is_not_by_the_greatest_fence() -> None:
    told = good_life()
    told.both("claim", {"job": "a", "fence": 9})
    told.both("fail", {"answer": None}, job="a", fence=3)
    assert broken(told) == {"I3"}


def test_answers_written_late_are_no_order() -> None:
    """A worker that was frozen before it wrote down its claim."""
    told = Told()
    told.both("submit", {"job": "a"}, seed=1)
    frozen = told.ask("claim", who="frozen")
    told.both("claim", {"job": "a", "fence": 5})
    told.answer(frozen, job="a", fence=3)
    told.both("complete", {"answer": True}, job="a", fence=5, result_fence=5)
    told.note(FAULTS_STOP)
    told.note(SETTLED)
    assert broken(told) == set()


@pytest.mark.parametrize(
    "depth", [{"succeeded": 1, "submitted": 2}, {"submitted": 1}, {"succeeded": 2, "submitted": 2}]
)
def test_books_that_do_not_balance(depth: dict[str, int]) -> None:
    assert "I4" in broken(good_life(), end(record(), **depth))


def test_a_job_in_two_places() -> None:
    assert "I5" in broken(good_life(), end(record(), record(), succeeded=2, submitted=2))


def test_a_job_that_is_not_where_it_says() -> None:
    assert broken(good_life(), end(record(), dead=1, submitted=1)) == {"I5"}


def test_a_job_that_does_not_end() -> None:
    told = good_life()
    told.events = [event for event in told.events if event.op != "complete"]
    assert broken(told, end(record(state=JobState.RUNNING), running=1, submitted=1)) == {"I6"}


def test_a_run_that_settles_too_late() -> None:
    assert broken(good_life(), settle_s=0.5) == {"I6"}


def test_a_run_that_never_settles() -> None:
    told = good_life()
    told.events.pop()
    assert broken(told) == {"I6"}


def test_an_execution_without_a_reason() -> None:
    assert broken(good_life(), end(record(crashes=0), succeeded=1, submitted=1)) == {"I7"}


@pytest.mark.parametrize("state", [JobState.DEAD, JobState.CANCELLED])
def test_a_good_job_that_does_not_succeed(state: JobState) -> None:
    told = good_life()
    told.events = [event for event in told.events if event.op != "complete"]
    final = end(record(state=state), **{state: 1}, submitted=1)
    assert broken(told, final) == {"I9"}
    assert broken(told, final, bad={"b"}) == {"I9"}
    assert broken(told, final, bad={"a"}) == set(), "nothing was expected of it"


def published(manifest: dict[str, Any] | None, sha256: str | None = "c0ffee") -> FinalState:
    return replace(GOOD_END, published={"a": Published(manifest, {FILE["key"]: sha256})})


@pytest.mark.parametrize(
    "final",
    [
        published(None),
        published(MANIFEST | {"fence": 3}),
        published(MANIFEST, "other bytes"),
        published(MANIFEST, None),
        replace(GOOD_END, published={}),
    ],
    ids=["no manifest", "another manifest", "other bytes", "no bytes", "nothing"],
)
def test_a_result_that_is_not_what_the_manifest_says(final: FinalState) -> None:
    assert broken(good_life(), final) == {"I8"}


def test_a_killed_writer_leaves_a_call_without_an_answer(tmp_path: Path) -> None:
    history = History(tmp_path, "w")
    with pytest.raises(OSError, match="cable"), history.call("submit", seed=1):
        raise OSError("the cable is out")
    with history.call("claim", word="w") as answer:
        answer |= {"job": "a", "fence": 3}
    history.close()
    events: Sequence[Event] = read_histories(tmp_path)
    assert [(e.kind, e.op) for e in events] == [
        ("call", "submit"),
        ("error", "submit"),
        ("call", "claim"),
        ("answer", "claim"),
    ]
    assert events[1].facts == {"seed": 1, "error": "OSError", "message": "the cable is out"}
    assert (events[3].job, events[3].fence) == ("a", 3)


def test_a_history_has_one_writer(tmp_path: Path) -> None:
    with closing(History(tmp_path, "w")), pytest.raises(FileExistsError):
        History(tmp_path, "w")


def test_who_comes_back_is_judged_as_another(stage: Stage) -> None:
    """The calls of both begin at number 0, and an answer belongs to the call of its own writer."""
    stage.submit(2)
    for _ in range(2):
        queue = stage.recorded("hand")
        claim = queue.claim("hand", 60.0)
        assert claim
        assert queue.complete(claim, {"fence": 0})
    stage.settle(timeout_s=30)
    assert stage.judge() == []
