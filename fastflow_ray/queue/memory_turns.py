"""Fair turns of the in-memory twin: the rule of `scripts/prelude/turns.lua`, said once more and more simply.

The scripts keep tenants in sorted sets to find the next one in a moment; here all are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastflow_ray.queue.share import EVERYBODY, Share


class FairTurns:
    """Virtual times of tenants, and what the operator allows them. Not thread-safe by itself."""

    def __init__(self) -> None:
        self.shares: dict[str, Share] = {}
        self._times: dict[tuple[str, str], float] = {}  # (lane, tenant) → virtual time
        self._clocks: dict[str, float] = {}  # lane → virtual time of the tenant served last

    def first(self, lane: str, tenants: Iterable[str]) -> str | None:
        """Whose turn it is among those; None: nobody's."""
        return min(tenants, key=lambda tenant: (self._time(lane, tenant), tenant), default=None)

    def pay(self, lane: str, tenant: str, cost: float) -> float:
        """Move the tenant on by its share of the cost, which is the answer."""
        began = self._clocks[lane] = self._time(lane, tenant)
        paid = cost / self.weight_of(tenant)
        self._times[lane, tenant] = began + paid
        return paid

    def repay(self, lane: str, tenant: str, paid: float) -> None:
        """Take back what was paid for work that was not done."""
        self._times[lane, tenant] = self._time(lane, tenant) - paid

    def weight_of(self, tenant: str) -> float:
        """1 where nothing is said."""
        return self.allowed(tenant).weight or 1.0

    def allowed(self, tenant: str) -> Share:
        """The tenant's own numbers, and everybody's where it has none."""
        own, all_others = (self.shares.get(name, Share()) for name in (tenant, EVERYBODY))
        return Share(
            *(
                getattr(all_others, name) if getattr(own, name) is None else getattr(own, name)
                for name in ("weight", "max_running", "max_queued")
            )
        )

    def _time(self, lane: str, tenant: str) -> float:
        return max(self._times.get((lane, tenant), 0.0), self._clocks.get(lane, 0.0))
