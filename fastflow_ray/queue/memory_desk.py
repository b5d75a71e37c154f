"""The operator's side of the in-memory twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastflow_ray.jobs.states import JobState
from fastflow_ray.queue.books import Books
from fastflow_ray.queue.event import BEGINNING, KEPT, Event
from fastflow_ray.queue.memory_job import MemoryJob
from fastflow_ray.queue.memory_state import MemoryState
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.submission import check_reason, check_tenant


class MemoryDesk:
    """A QueueDesk over the state of a MemoryQueue."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def shares(self) -> Mapping[str, Share]:
        """All that were set."""
        with self._state.changed:
            return dict(sorted(self._state.turns.shares.items()))

    def set_share(self, tenant: str, share: Share) -> None:
        """In force with the next claim."""
        check_tenant(tenant)
        with self._state.changed:
            self._state.turns.shares.pop(tenant, None)
            if share != Share():
                self._state.turns.shares[tenant] = share
            self._state.changed.notify_all()

    def pause(self, reason: str) -> None:
        """Claims find nothing from now on."""
        with self._state.changed:
            self._state.paused = check_reason(reason)

    def resume(self) -> None:
        """Claims find jobs again."""
        with self._state.changed:
            self._state.paused = None
            self._state.changed.notify_all()

    def redrive_all(self) -> int:
        """All at once."""
        with self._state.changed:
            dead = self._dead()
            for job in dead:
                self._state.redrive(job)
            return len(dead)

    def purge(self) -> int:
        """All at once."""
        with self._state.changed:
            dead = self._dead()
            for job in dead:
                self._state.forget(job)
            return len(dead)

    def events(self, after: str | None = None, limit: int = 100) -> Sequence[Event] | None:
        """From a list of the same length."""
        with self._state.changed:
            events = list(self._state.events)
        if after is None:
            return events[-limit:]
        if after == BEGINNING:
            return events[:limit] if len(events) < KEPT else None
        places = [place for place, event in enumerate(events) if event.event_id == after]
        return events[places[0] + 1 :][:limit] if places else None

    def books(self) -> Books:
        """What agrees by itself here is counted only once."""
        with self._state.changed:
            self._state.sweep()
            by_state = {state.value: sum(1 for _ in self._state.within(state)) for state in JobState}
            queued, running = by_state["queued"], by_state["running"]
            return Books(
                **by_state,
                submitted=self._state.submitted,
                forgotten=self._state.forgotten,
                expired=self._state.gone,
                struck=0,
                listed=len(self._state.jobs),
                ready=queued,
                waiting=queued + by_state["delayed"],
                working=running,
            )

    def close(self) -> None:
        """There is nothing to let go."""

    def _dead(self) -> list[MemoryJob]:
        self._state.sweep()
        return list(self._state.within(JobState.DEAD))
