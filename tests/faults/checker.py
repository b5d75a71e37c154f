"""Judges a run as Jepsen's total-queue does: what clients and workers were told, against what is left in the end.

    I1  no acknowledged submit is lost
    I2  at most one completion per job is accepted
    I3  fences strictly rise per job, and the accepted one is the greatest
    I4  submitted = queued + delayed + running + succeeded + dead + cancelled
    I5  each job stands in exactly one place
    I6  after the faults stop, every job ends within T
    I7  executions ≤ 1 + retries + crashes
    I8  one manifest per succeeded job; its sha256 = the bytes' = the one in Redis
    I9  every good job that ends succeeds

Processes write down an answer some time after the server gave it. So only this is taken for an order: an answer that
was written before another call was begun. Knows no queue and no store.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from final_state import FinalState, Published
from history import Event

from fastflow_ray.jobs.states import TERMINAL, JobState
from fastflow_ray.queue.contract import JobRecord

FAULTS_STOP = "faults stop"  # notes of the test
SETTLED = "settled"


@dataclass(frozen=True)
class Violation:
    """One broken promise."""

    invariant: str  # I1 … I9
    job: str
    what: str


@dataclass(frozen=True)
class Run:
    """What there is to judge."""

    events: Sequence[Event]
    final: FinalState
    settle_s: float  # T of I6
    bad: Collection[str] = ()  # jobs that cannot succeed; all others are good
    server_forgets: bool = False  # its log was cut: it may accept a job's one result once more, and lose submits

    def answers(self, op: str) -> Iterator[Event]:
        """Of one operation."""
        return (event for event in self.events if event.op == op and event.kind == "answer")

    @cached_property
    def accepted(self) -> list[Event]:
        """Completions."""
        return [event for event in self.answers("complete") if event.facts.get("answer") is True]

    @cached_property
    def claims(self) -> dict[str, list[tuple[Event, Event]]]:
        """Job → (call, answer) of every claim that got it."""
        calls = {(event.who, event.number): event for event in self.events if event.kind == "call"}
        claims: dict[str, list[tuple[Event, Event]]] = defaultdict(list)
        for answer in self.answers("claim"):
            if answer.job:
                claims[answer.job].append((calls[answer.who, answer.number], answer))
        return claims

    @cached_property
    def asked(self) -> Counter[tuple[str, str | None]]:
        """(operation, job) → how often it was asked, answered or not."""
        return Counter((event.op, event.job) for event in self.events if event.kind == "call")


def check(run: Run) -> list[Violation]:
    """All that is wrong with it; none: it kept every promise."""
    return [Violation(name, job, what) for name, rule in RULES.items() for job, what in rule(run)]


Found = Iterator[tuple[str, str]]  # (job, what is wrong)


def no_submit_is_lost(run: Run) -> Found:
    """I1; nor is a completion."""
    if run.server_forgets:
        return
    there = {record.job_id: record.state for record in run.final.records}
    for job in sorted({event.job or "" for event in run.answers("submit")} - there.keys()):
        yield job, "its submit was acknowledged, and it is gone"
    for job in sorted({event.job or "" for event in run.accepted} & there.keys()):
        if there[job] is not JobState.SUCCEEDED:
            yield job, f"its completion was accepted, and it is {there[job]}"


def one_completion_is_accepted(run: Run) -> Found:
    """I2; a server that forgot the first may accept another attempt, if that brings the same result."""
    fences: dict[str, set[Any]] = defaultdict(set)
    for event in run.accepted:
        fences[event.job or ""].add(event.facts.get("result_fence") if run.server_forgets else event.fence)
    yield from ((job, f"completed by {sorted(them)}") for job, them in fences.items() if len(them) > 1)


def fences_rise(run: Run) -> Found:
    """I3."""
    for job, claims in run.claims.items():
        for call, answer in claims:
            before = [earlier.fence or 0 for _, earlier in claims if earlier.at_s < call.at_s]
            if max(before, default=-1) >= (answer.fence or 0):
                yield job, f"fence {answer.fence} after {max(before)}"
    issued = Counter(answer.fence for claims in run.claims.values() for _, answer in claims)
    yield from ((str(fence), f"issued {times} times") for fence, times in issued.items() if times > 1)
    for event in () if run.server_forgets else run.accepted:
        greatest = max((answer.fence or 0 for _, answer in run.claims.get(event.job or "", ())), default=0)
        if (event.fence or 0) < greatest:
            yield event.job or "", f"completed by {event.fence} though {greatest} had been issued"


def the_books_balance(run: Run) -> Found:
    """I4."""
    depth = run.final.depth
    total = sum(getattr(depth, state) for state in JobState)
    if not depth.submitted == total == len(run.final.records):
        yield "", f"{depth.submitted} submitted, {total} in some state, {len(run.final.records)} listed"


def one_place_each(run: Run) -> Found:
    """I5: as many jobs stand in the place of a state as say that they are in it, and none is listed twice."""
    listed = Counter(record.job_id for record in run.final.records)
    yield from ((job, f"listed {times} times") for job, times in listed.items() if times > 1)
    for state in JobState:
        said = sum(record.state is state for record in run.final.records)
        if said != (standing := getattr(run.final.depth, state)):
            yield "", f"{said} jobs say they are {state}, {standing} stand there"


def all_jobs_end(run: Run) -> Found:
    """I6."""
    for record in run.final.records:
        if record.state not in TERMINAL:
            yield record.job_id, f"still {record.state}"
    stop, settled = (next((e.at_s for e in run.events if e.op == op), None) for op in (FAULTS_STOP, SETTLED))
    if stop is None or settled is None or settled - stop > run.settle_s:
        yield (
            "",
            f"not settled within {run.settle_s:g} s after the faults: they stopped at {stop}, settled at {settled}",
        )


def executions_are_accounted_for(run: Run) -> Found:
    """I7: every claim but the first has a reason that the books know."""
    crashes = {record.job_id: record.crashes for record in run.final.records}
    for job, claims in run.claims.items():
        reasons = run.asked["fail", job] + run.asked["release", job] + crashes.get(job, len(claims))
        if len(claims) > 1 + reasons and not run.server_forgets:
            yield job, f"{len(claims)} executions for {reasons} retries and crashes"


def one_manifest_each(run: Run) -> Found:
    """I8."""
    for record in run.final.records:
        if run.final.published is not None and record.state is JobState.SUCCEEDED:
            yield from ((record.job_id, what) for what in _faults_of(record, run.final.published.get(record.job_id)))


def good_jobs_succeed(run: Run) -> Found:
    """I9; a job that has not ended is I6's."""
    for record in run.final.records:
        if record.state in TERMINAL - {JobState.SUCCEEDED} and record.job_id not in run.bad:
            yield record.job_id, f"it is {record.state}: {record.error}"


def _faults_of(record: JobRecord, published: Published | None) -> Iterator[str]:
    if published is None or published.manifest is None:
        yield "succeeded without a manifest"
        return
    if record.result != published.manifest:
        yield "Redis holds another result than the store"
    for file in published.manifest["files"].values():
        if published.sha256.get(file["key"]) != file["sha256"]:
            yield f"the bytes of {file['key']} are not those of the manifest"


RULES: dict[str, Callable[[Run], Found]] = {
    "I1": no_submit_is_lost,
    "I2": one_completion_is_accepted,
    "I3": fences_rise,
    "I4": the_books_balance,
    "I5": one_place_each,
    "I6": all_jobs_end,
    "I7": executions_are_accounted_for,
    "I8": one_manifest_each,
    "I9": good_jobs_succeed,
}
