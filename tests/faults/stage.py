"""Where a fault test takes place: a server of its own, a store, histories, and the checker at the end."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from checker import FAULTS_STOP, SETTLED, Run, Violation, check
from final_state import FinalState, all_records, look
from history import Event, History, read_histories
from recorded_queue import RecordedQueue
from waiting import wait_for
from worker_process import MODEL, WorkPlan

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import TERMINAL
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import JobQueue
from fastflow_ray.storage import open_store
from fastflow_ray.storage.contract import Store


@dataclass
class Stage:
    """One run of one test."""

    folder: Path
    redis_url: str
    seed: int
    figures: dict[str, Any]  # for the report
    store_url: str = ""
    model: str = MODEL
    limits: dict[str, Any] = field(default_factory=lambda: {"max_crashes": 1_000})  # deaths are ours, not the jobs'
    settle_s: float = 0.0
    final: FinalState | None = None
    opened: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store_url = self.store_url or (self.folder / "store").as_uri()
        self.rng = Random(self.seed)
        self.users: Counter[str] = Counter()
        self.job_seeds = itertools.count(1)  # a job is told from another by its seed
        self.history = self.keep(History(self.histories, "test"))
        self.queue: JobQueue = self.keep(open_queue(self.redis_url, self.model, **self.limits))

    def keep(self, opened: Any) -> Any:
        """To be closed at the end."""
        self.opened.append(opened)
        return opened

    @property
    def histories(self) -> Path:
        """The folder of the JSONL files."""
        return self.folder / "histories"

    def plan(self, **more: Any) -> WorkPlan:
        """For a crew's workers."""
        return WorkPlan(**{
            "redis_url": self.redis_url, "store_url": self.store_url, "histories": self.histories, "limits": self.limits
        } | more)  # fmt: skip

    def recorded(self, who: str, url: str = "") -> JobQueue:
        """The queue for one more user with a history of his own, also where another had his name."""
        self.users[who] += 1
        name = who if self.users[who] == 1 else f"{who}-again-{self.users[who]}"
        queue = self.keep(open_queue(url or self.redis_url, self.model, **self.limits))
        return RecordedQueue(queue, self.keep(History(self.histories, name)))  # type: ignore[return-value]

    def submit(self, jobs: int, prompt: str = "one colour", **more: Any) -> list[str]:
        """So many jobs with seeds of their own; their ids."""
        queue = self.recorded(f"client-{len(self.opened)}")
        return [
            queue.submit(job_of(next(self.job_seeds), prompt, model=self.model, **more)).job_id for _ in range(jobs)
        ]

    def settle(self, timeout_s: float) -> None:
        """The faults are over: wait until every job has ended, for as long as I6 allows."""
        self.settle_s = timeout_s
        self.history.note(FAULTS_STOP)
        wait_for(self._all_ended, timeout_s, poll_s=0.05)
        self.history.note(SETTLED)

    def events(self) -> list[Event]:
        """All histories so far."""
        return read_histories(self.histories)

    def judge(self, store: Store | None = None, **kind: Any) -> list[Violation]:
        """Ask the checker, and put what it says into the report."""
        with closing(store or open_store(self.store_url)) as there:
            self.final = look(self.queue, there if self.has_store else None)
        violations = check(Run(self.events(), self.final, self.settle_s, **kind))
        self.figures |= {"jobs": len(self.final.records), "violations": len(violations)}
        self.figures.setdefault("recovery_s", last_recovery_s(self.events()))
        return violations

    @property
    def has_store(self) -> bool:
        """Whether anybody published."""
        return not self.store_url.startswith("file:") or (self.folder / "store").exists()

    def close(self) -> None:
        """Close whatever was opened."""
        while self.opened:
            self.opened.pop().close()

    def _all_ended(self) -> bool:
        try:
            return all(record.state in TERMINAL for record in all_records(self.queue))
        except QueueUnavailable:
            return False


def job_of(seed: int, prompt: str = "one colour", **more: Any) -> VideoJob:
    """A job for the trivial engine, unless `more` says otherwise."""
    return VideoJob(**{"prompt": prompt, "model": MODEL, "seed": seed, "acceleration": "off", "audit": False} | more)


def claimed_when_killed(events: list[Event]) -> Iterator[tuple[Event, str]]:
    """(kill, job) for every killed worker that had a job in hand."""
    ends = {"complete", "fail", "release"}
    for kill in events:
        if kill.op == "SIGKILL" and "worker" in kill.facts:
            mine = [e for e in events if e.who == kill.facts["worker"] and e.kind == "answer" and e.at_s < kill.at_s]
            claims = [e for e in mine if e.op == "claim" and e.job]
            if claims and not any(e.op in ends and e.fence == claims[-1].fence for e in mine):
                yield kill, claims[-1].job or ""


def last_recovery_s(events: list[Event]) -> float | None:
    """The longest time from the death of a worker to its job's requeue; None: none died with a job in hand."""
    requeues = [e for e in events if e.op == "requeue" and e.kind == "answer" and e.facts.get("answer")]
    waits = [
        min((e.at_s - kill.at_s for e in requeues if e.job == job and e.at_s > kill.at_s), default=None)
        for kill, job in claimed_when_killed(events)
    ]
    return max((wait for wait in waits if wait is not None), default=None)
