"""Numbers of things in sentences."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """`counted(1, "job")` is "1 job", `counted(2000, "job waits", "jobs wait")` "2,000 jobs wait".

    `many` is how more than one, or none, are called; left out, it is `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
