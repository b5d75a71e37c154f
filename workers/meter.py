"""What a worker counts about itself, as the worker sees it; who reads the figures is no concern of its."""

from __future__ import annotations

from typing import Protocol

from workers.ending import Ending


class Meter(Protocol):
    """The sums behind dashboards and alerts."""

    def began(self, waited_s: float) -> None:
        """A job was claimed that had been ready for so long."""

    def ended(self, ending: Ending) -> None:
        """Its attempt is over."""

    def loaded(self, seconds: float) -> None:
        """The model has been read."""

    def switched(self) -> None:
        """A job wanted another model than the one loaded."""

    def was_busy(self, seconds: float) -> None:
        """So long the device had work."""

    def was_idle(self, seconds: float) -> None:
        """So long it had none."""

    def waited(self, seconds: float) -> None:
        """So long of that there was no job to be had."""


class NoMeter:
    """For a worker that nobody watches."""

    def began(self, waited_s: float) -> None:
        """Not counted."""

    def ended(self, ending: Ending) -> None:
        """Not counted."""

    def loaded(self, seconds: float) -> None:
        """Not counted."""

    def switched(self) -> None:
        """Not counted."""

    def was_busy(self, seconds: float) -> None:
        """Not counted."""

    def was_idle(self, seconds: float) -> None:
        """Not counted."""

    def waited(self, seconds: float) -> None:
        """Not counted."""
