"""The lanes of a queue: as long as one holds work that may run, the next is not looked at."""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    """In the order in which they are served; inside a lane tenants share by weight."""

    INTERACTIVE = "interactive"  # somebody sits and waits
    STANDARD = "standard"
    BATCH = "batch"  # when nothing else is to do
