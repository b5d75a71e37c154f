"""What a worker counts about itself, as the worker sees it; who reads the figures is no concern of its."""

from __future__ import annotations

from typing import Protocol

from workers.ending import Ending


class Meter(Protocol):
    """The sums behind dashboards and alerts, each of the model that was at work."""

    def began(self, model: str, waited_s: float) -> None:
        """A job was claimed that had been ready for so long."""

    def ended(self, model: str, ending: Ending) -> None:
        """Its attempt is over."""

    def loaded(self, model: str, seconds: float) -> None:
        """The model has been read."""

    def switched(self, model: str) -> None:
        """A job wanted this model, and another was loaded."""

    def was_busy(self, model: str, seconds: float) -> None:
        """So long the device had work."""

    def was_idle(self, model: str, seconds: float) -> None:
        """So long it had none."""

    def waited(self, model: str, seconds: float) -> None:
        """So long of that there was no job to be had."""


class NoMeter:
    """For a worker that nobody watches."""

    def began(self, model: str, waited_s: float) -> None:
        """Not counted."""

    def ended(self, model: str, ending: Ending) -> None:
        """Not counted."""

    def loaded(self, model: str, seconds: float) -> None:
        """Not counted."""

    def switched(self, model: str) -> None:
        """Not counted."""

    def was_busy(self, model: str, seconds: float) -> None:
        """Not counted."""

    def was_idle(self, model: str, seconds: float) -> None:
        """Not counted."""

    def waited(self, model: str, seconds: float) -> None:
        """Not counted."""
