"""Whether a model can do what is asked and how much work it is, told before the job is queued: by the model's card
alone, without torch or weights.
"""

from __future__ import annotations

import math
from typing import Protocol

from fastflow_ray.errors import BeyondModel
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import model_card
from fastflow_ray.pace import Wish, pace_of


class Size(Protocol):
    """What of a job its work depends on. `jobs.VideoJob` is one."""

    @property
    def model(self) -> str: ...
    @property
    def width(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def frames(self) -> int | None: ...
    @property
    def steps(self) -> int | None: ...


class Application(Wish, Size, Protocol):
    """What of a job decides whether it can be had. `jobs.VideoJob` is one."""


def admit(application: Application) -> ModelCard:
    """The model's card; raises UnknownModel, BeyondModel for a size or length that it cannot take, and InvalidInput for
    a pace that so many steps cannot have."""
    card = model_card(application.model)
    _check_size(application, card)
    if pace := pace_of(application):
        pace.check(card.steps if application.steps is None else application.steps)
    return card


def _check_size(size: Size, card: ModelCard) -> None:
    limits = (
        ("width", size.width, card.longest_side),
        ("height", size.height, card.longest_side),
        ("frames", size.frames, card.most_frames),
    )
    for field, asked, limit in limits:
        if asked is not None and asked > limit:
            raise BeyondModel(field, limit, card.name)


def relative_work(size: Size) -> float:
    """Pixels × frames × steps over those of the model's usual video; raises UnknownModel.

    Attention grows faster than that, skipping takes some of it away: good enough to share a fleet by.
    """
    card = model_card(size.model)
    asked_and_usual = (
        (size.width, card.width),
        (size.height, card.height),
        (size.frames, card.frames),
        (size.steps, card.steps),
    )
    return math.prod((asked or usual) / usual for asked, usual in asked_and_usual)
