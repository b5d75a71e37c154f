"""The words in which acceleration is asked for. Pure names and numbers: no tensor, no pydantic, no statistics.

| preset | decoded frames against the full run of the same seed, at 95 % confidence |
|---|---|
| `faithful` | 45 dB: differences have to be looked for |
| `balanced` | 38 dB: the same scene, edges and textures a little different |
| `fast` | 30 dB: the same scene, visibly another take of it |
"""

from __future__ import annotations

from enum import StrEnum


class Acceleration(StrEnum):
    """Which network evaluations may be skipped."""

    OFF = "off"  # none: the flow-Euler reference
    FASTFLOW = "fastflow"  # as published: arXiv 2602.11105
    AUTO = "auto"  # by a plan learnt for what was asked: a speedup, a number of evaluations, a fidelity or a preset


class Preset(StrEnum):
    """A fidelity by name."""

    FAITHFUL = "faithful"
    BALANCED = "balanced"
    FAST = "fast"


DEFAULT_SPEEDUP = 2.6  # of who asks for nothing: it can be had after one video, a promised fidelity only after many
FIDELITY_DB = {Preset.FAITHFUL: 45.0, Preset.BALANCED: 38.0, Preset.FAST: 30.0}  # PSNR, as audits measure it
