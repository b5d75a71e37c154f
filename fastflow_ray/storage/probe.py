"""What a store is proven with. Knows no store."""

from __future__ import annotations

import os


def probe(room_bytes: int) -> bytes:
    """A value of so many bytes and a few, which no disk can make smaller."""
    return b"fastflow-ray was here" + os.urandom(room_bytes)
