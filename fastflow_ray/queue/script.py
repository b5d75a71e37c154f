"""The Lua scripts, one per move of a job, and those of the statistics. Knows their text, not what they mean."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastflow_ray.jobs.lane import Lane
from fastflow_ray.queue.keys import PREFIXES, SHARED_KEYS, STATISTICS_KEYS

FOLDER = Path(__file__).parent / "scripts"
# In this order: each uses those before it.
PRELUDE = ("records", "turns", "moves", "endings", "lines", "leases", "sweeping")


@dataclass(frozen=True)
class Script:
    """What EVAL runs and the digest by which EVALSHA finds it again."""

    name: str
    source: str
    sha1: str


@cache
def load_script(name: str) -> Script:
    """`scripts/<name>.lua` behind what all share, `scripts/prelude/`, with the keys of keys.py bound to local names."""
    keys = f"local {', '.join([*SHARED_KEYS, *PREFIXES])} = unpack(KEYS)"
    lanes = f"local LANES = {{{', '.join(repr(lane.value) for lane in Lane)}}}"
    files = [*(f"prelude/{part}" for part in PRELUDE), name]
    return _script(name, keys, lanes, *map(_text, files))


@cache
def load_statistics_script(name: str) -> Script:
    """`scripts/statistics/<name>.lua` behind nothing but the names of its keys."""
    return _script(name, f"local {', '.join(STATISTICS_KEYS)} = unpack(KEYS)", _text(f"statistics/{name}"))


def _text(file: str) -> str:
    return (FOLDER / f"{file}.lua").read_text()


def _script(name: str, *parts: str) -> Script:
    source = "\n".join(parts)
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
