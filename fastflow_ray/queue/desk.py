"""What the operator of a queue may ask and order; the contract beside `JobQueue`, with the same two implementations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fastflow_ray.queue.share import Share


class QueueDesk(Protocol):
    """Every method may raise QueueUnavailable."""

    def shares(self) -> Mapping[str, Share]:
        """Tenant → what was set for it; `EVERYBODY` among them if that was set."""

    def set_share(self, tenant: str, share: Share) -> None:
        """From now on, in place of what was set before. Raises InvalidInput for what is no tenant's name."""

    def close(self) -> None:
        """Let the connections go, if there are any."""
