"""Follows a queue: every job's last change is told, whatever the stream of events forgot meanwhile."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from fastflow_ray.errors import UnknownJob
from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.contract import JobQueue, JobRecord
from fastflow_ray.queue.desk import QueueDesk
from fastflow_ray.queue.event import BEGINNING, KEPT, Event
from fastflow_ray.queue.limits import PAGE_LIMIT


class EventReader:
    """Reads on where it stopped. The stream keeps some 10,000 entries: a reader that fell behind looks at the jobs
    themselves and tells what it missed as one event per changed job.
    """

    def __init__(self, queue: JobQueue, desk: QueueDesk, history: int = 20) -> None:
        """`history`: so many events before now come first."""
        self._queue = queue
        self._desk = desk
        self._history = history
        self._last: str | None = None
        self._known: dict[str, tuple[JobState, int]] = {}
        self._most_known = KEPT  # then those are looked for whose records are gone

    def read(self) -> Sequence[Event]:
        """What is new, perhaps nothing; raises QueueUnavailable, after which it may be called again."""
        if len(self._known) > self._most_known:
            self._forget_who_is_gone(self._records())
        limit = self._history if self._last is None else PAGE_LIMIT
        events = self._desk.events(self._last, limit)
        if events is None:
            events = list(self._missed())
        self._last = self._last or BEGINNING  # nothing had happened yet: what comes is all news
        for event in events:
            self._last = event.event_id
            self._known[event.job_id] = (event.state, event.attempt)
        return events

    def _missed(self) -> Iterator[Event]:
        # Place first, jobs second: what happens in between is told twice rather than not at all.
        newest = self._desk.events(None, 1) or []
        self._last = newest[0].event_id if newest else BEGINNING
        records = self._records()
        self._forget_who_is_gone(records)
        for job_id, record in records.items():
            if self._known.get(job_id) != (record.state, record.attempts):
                why = (record.error or {}).get("code", "")
                yield Event(self._last, job_id, record.state, record.attempts, record.worker or "", why)

    def _forget_who_is_gone(self, records: Container[str]) -> None:
        """Nothing can be told of them any more. The next time is far enough away to cost little on average."""
        self._known = {job_id: seen for job_id, seen in self._known.items() if job_id in records}
        self._most_known = max(KEPT, 2 * len(self._known))

    def _records(self) -> dict[str, JobRecord]:
        while True:
            try:
                return {record.job_id: record for record in self._listed()}
            except UnknownJob:  # the last job of a page was forgotten before the next page was read
                continue

    def _listed(self) -> Iterator[JobRecord]:
        after = None
        while page := self._queue.list(PAGE_LIMIT, after, newest_first=False):
            yield from page
            after = page[-1].job_id
