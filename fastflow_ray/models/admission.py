"""Whether a model can do what is asked and how much work it is, told before the job is queued: by the model's card
alone, without torch or weights.
"""

from __future__ import annotations

import math
from typing import Protocol

from fastflow_ray.models.catalogue import ModelCard, model_card
from fastflow_ray.pace import Wish, pace_of


class Application(Wish, Protocol):
    """What of a job decides it. `jobs.VideoJob` is one."""

    @property
    def model(self) -> str: ...
    @property
    def steps(self) -> int | None: ...


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


def admit(application: Application) -> ModelCard:
    """The model's card; raises UnknownModel, and InvalidInput for a pace that so many steps cannot have."""
    card = model_card(application.model)
    if pace := pace_of(application):
        pace.check(card.steps if application.steps is None else application.steps)
    return card


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
