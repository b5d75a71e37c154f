"""Patience with workers that die before they are ready: a model that cannot load must not be tried without end.

Knows nothing of workers; times are the caller's monotonic clock, in seconds.
"""

from __future__ import annotations

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class CreationBackoff:
    """Doubles the pause with every failure in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._until_s = float("-inf")

    def failed(self, now_s: float) -> None:
        """A worker died before it was ready."""
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures, 10), LONGEST_PAUSE_S)
        self._failures += 1
        self._until_s = max(self._until_s, now_s + pause_s)

    def reset(self) -> None:
        """A worker became ready: creation works."""
        self._failures = 0
        self._until_s = float("-inf")

    def over(self, now_s: float) -> bool:
        """Whether workers may be created again."""
        return now_s >= self._until_s
