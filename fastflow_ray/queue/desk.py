"""What the operator of a queue may ask and order; the contract beside `JobQueue`, with the same two implementations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from fastflow_ray.queue.books import Books
from fastflow_ray.queue.event import Event
from fastflow_ray.queue.share import Share


class QueueDesk(Protocol):
    """Every method may raise QueueUnavailable."""

    def shares(self) -> Mapping[str, Share]:
        """Tenant → what was set for it; `EVERYBODY` among them if that was set."""

    def set_share(self, tenant: str, share: Share) -> None:
        """From now on, in place of what was set before. Raises InvalidInput for what is no tenant's name."""

    def pause(self, reason: str) -> None:
        """Give out no job until `resume`, and tell everybody why; what runs goes on, submits are taken."""

    def resume(self) -> None:
        """Give out jobs again."""

    def redrive_all(self) -> int:
        """Queue every dead job again; how many there were."""

    def purge(self) -> int:
        """Delete the records of all dead jobs; how many there were."""

    def events(self, after: str | None = None, limit: int = 100) -> Sequence[Event] | None:
        """What happened, the oldest first: at most `limit` events after that one, or from the `BEGINNING`, or the
        latest. None: the place is lost, for only some 10,000 are kept; look at the jobs themselves, as `EventReader`
        does."""

    def books(self) -> Books:
        """Everything counted, for the conservation check."""

    def close(self) -> None:
        """Let the connections go, if there are any."""
