"""Which generations may learn from each other: those for which skipping costs about the same.

What they learn is kept per set of arms and grid of sigmas, which `FastFlow` adds to the name of their table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

GUIDANCE_AND_SIZE = re.compile(
    r":guidance(?P<guidance>[\d.]+):(?P<width>\d+)x(?P<height>\d+)x(?P<frames>\d+)(?P<rest>.*)$"
)
SIZE = ("width", "height", "frames")


@dataclass(frozen=True)
class PolicyKey:
    """Keys with the same text, `str(key)`, share what they learn."""

    model: str
    revision: str  # what the weights are
    steps: int
    shift: float  # of the sigma grid
    guidance: float  # shared by all within the same half; ≤ 1 means no guidance branch
    width: int  # px
    height: int  # px
    frames: int
    lora: str = ""

    @property
    def guidance_bucket(self) -> float:
        """Guidance to the nearest half; 1 where there is none."""
        return max(1.0, round(2 * self.guidance) / 2)

    @property
    def size_bucket(self) -> str:
        """WxHxF in pixels and frames."""
        return f"{self.width}x{self.height}x{self.frames}"

    def __str__(self) -> str:
        grid = f"steps{self.steps}:shift{self.shift:g}"
        lora = f":lora={self.lora}" if self.lora else ""
        return f"{self.model}@{self.revision}:{grid}:guidance{self.guidance_bucket:g}:{self.size_bucket}{lora}"


def nearest(key: str, keys: Iterable[str]) -> str | None:
    """Of `keys`, the one whose generations are likest those of `key`; None where none is comparable.

    Keys, as text, are comparable if they differ in guidance, size or frames alone; a LoRA may borrow from the model
    without it. One doubling of guidance or of the pixels is as far as the other.
    """
    near = [(distance, other) for other in keys if (distance := _distance(key, other)) is not None]
    return min(near)[1] if near else None


def _distance(one: str, other: str) -> float | None:
    ours, theirs = GUIDANCE_AND_SIZE.search(one), GUIDANCE_AND_SIZE.search(other)
    if one == other or not ours or not theirs or one[: ours.start()] != other[: theirs.start()]:
        return None
    adapted = _without_lora(ours["rest"]) == theirs["rest"] != ours["rest"]
    if ours["rest"] != theirs["rest"] and not adapted:
        return None
    doublings = [math.log2(_at(ours, names) / _at(theirs, names)) for names in (("guidance",), SIZE)]
    return sum(map(abs, doublings)) + adapted


def _without_lora(rest: str) -> str:
    return re.sub(r":lora=[^:]*", "", rest)


def _at(found: re.Match[str], names: Iterable[str]) -> float:
    return math.prod(float(found[name]) for name in names)
