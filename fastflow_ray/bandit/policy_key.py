"""Which generations may learn from each other: those for which skipping costs about the same.

What they learn is kept per set of arms and grid of sigmas, which `FastFlow` adds to the name of their table.
"""

from __future__ import annotations

from dataclasses import dataclass


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
