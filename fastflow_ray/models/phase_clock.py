"""Seconds per phase of one generation, measured when the device has really finished."""

from __future__ import annotations

import time

import torch


class PhaseClock:
    """A stop-watch for phases that follow each other."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._phase: str | None = None
        self._since_s = 0.0
        self._seconds: dict[str, float] = {}

    def enter(self, phase: str) -> None:
        """The phase before ends here, and this one begins."""
        now_s = self._finished_s()
        if self._phase is not None:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now_s - self._since_s
        self._phase, self._since_s = phase, now_s

    def stop(self) -> dict[str, float]:
        """The last phase ends here: seconds per phase."""
        self.enter("")
        self._phase = None
        return dict(self._seconds)

    def _finished_s(self) -> float:
        if self._device.type == "cuda":  # kernels run behind Python's back
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
