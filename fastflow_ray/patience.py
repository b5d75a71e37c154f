"""Patience with a fleet that answered once: its API or its Redis may be replaced while somebody waits for a job."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from fastflow_ray.errors import QueueUnavailable

PATIENCE_S = 60.0

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class Patience:
    """Of one who asks again and again."""

    def __init__(self) -> None:
        self._heard_s = -math.inf  # when it answered last, by the monotonic clock
        self._is_away = False

    def ask(self, question: Callable[[], Answer], until_s: float = math.inf) -> Answer | None:
        """The answer, which is not None; None while the fleet is away.

        Raises QueueUnavailable if it never answered, is away for `PATIENCE_S`, or at `until_s` of the monotonic clock.
        """
        try:
            answer = question()
        except QueueUnavailable as away:
            now_s = time.monotonic()
            if now_s - self._heard_s > PATIENCE_S or now_s >= until_s:
                raise
            if not self._is_away:
                log.warning("! %s; asking again for %g s", away, PATIENCE_S)
            self._is_away = True
            return None
        self._heard_s, self._is_away = time.monotonic(), False
        return answer
