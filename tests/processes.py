"""Who runs below a process, and who of them still does."""

from __future__ import annotations

from pathlib import Path


def family_of(pid: int) -> set[int]:
    """A process's children, their children, and so on."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we were reading
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {pid}


def alive(pids: set[int]) -> list[str]:
    """Who of them still runs, by name; whoever has only to be reaped has no command line any more."""
    there = (proc for pid in pids if (proc := Path(f"/proc/{pid}")).exists())
    return [(proc / "comm").read_text().strip() for proc in there if (proc / "cmdline").read_bytes()]
