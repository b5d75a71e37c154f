"""The operator's side of the in-memory twin."""

from __future__ import annotations

from collections.abc import Mapping

from fastflow_ray.queue.memory_state import MemoryState
from fastflow_ray.queue.share import Share
from fastflow_ray.queue.submission import check_tenant


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

    def close(self) -> None:
        """There is nothing to let go."""
