"""What is generated: captions and seeds, those measured on and those learnt from, which never meet. Imports no torch
before it is asked for captions."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import cycle, islice

HELD_OUT = 40  # scenes the embedded model was not trained on
LEARNING_SEED = 1_000  # measured subjects have seeds below


@dataclass(frozen=True)
class Subject:
    """One video, the same for every method."""

    prompt: str
    seed: int


def measured(count: int) -> list[Subject]:
    """The first `count` captions of scenes the embedded model never saw; then captions of scenes it saw."""
    from fastflow_ray.training.scenes import caption, split_scenes

    seen, unseen = split_scenes(HELD_OUT)
    rng = random.Random(1)
    scenes = [*unseen, *seen[: len(seen) // 2]]
    return [Subject(caption(scene, rng, say_everything=True), seed) for seed, scene in enumerate(scenes[:count])]


def learning(count: int) -> list[Subject]:
    """`count` captions from the other half of the scenes, with other seeds, for methods that learn first.

    Once every scene was told, all are told again, in words drawn anew.
    """
    from fastflow_ray.training.scenes import caption, split_scenes

    seen, _ = split_scenes(HELD_OUT)
    rng = random.Random(2)
    scenes = islice(cycle(seen[len(seen) // 2 :]), count)
    return [
        Subject(caption(scene, rng, say_everything=True), LEARNING_SEED + place) for place, scene in enumerate(scenes)
    ]
