"""What is known of a model without its weights. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelCard:
    """A name users may write in a job, and the numbers a job takes where it leaves them open."""

    name: str
    source: str  # a folder, or a hub id
    width: int
    height: int
    frames: int
    fps: int
    steps: int
    guidance: float
    shift: float
    max_sequence_length: int  # text tokens
    dtype: str = "bfloat16"
    longest_side: int = 2048  # px; more than the model can take is refused before it is queued
    most_frames: int = 257
