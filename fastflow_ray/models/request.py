"""What a user asks of a model, with gaps that the model's card fills. Knows no job: whatever has these fields does."""

from __future__ import annotations

from typing import Protocol, TypeVar

from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.pace import Wish, pace_of

Number = TypeVar("Number", int, float)


class Request(Wish, Protocol):
    """A video somebody wants; None leaves the choice to the model. `jobs.VideoJob` is one."""

    @property
    def prompt(self) -> str: ...
    @property
    def negative_prompt(self) -> str: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def fps(self) -> int | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def guidance(self) -> float | None: ...
    @property
    def shift(self) -> float | None: ...
    @property
    def seed(self) -> int | None: ...


def settle(request: Request, card: ModelCard, seed: int) -> GenerationSpec:
    """The request with every gap filled: numbers by the model's card, a missing seed by `seed`."""
    return GenerationSpec(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        width=_or(request.width, card.width),
        height=_or(request.height, card.height),
        frames=_or(request.frames, card.frames),
        fps=_or(request.fps, card.fps),
        steps=_or(request.steps, card.steps),
        guidance=_or(request.guidance, card.guidance),
        shift=_or(request.shift, card.shift),
        seed=_or(request.seed, seed),
        acceleration=request.acceleration,
        pace=pace_of(request),
    )


def _or(wanted: Number | None, default: Number) -> Number:
    return default if wanted is None else wanted
