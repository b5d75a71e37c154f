"""Whether a model can do what is asked, told before the job is queued: by its card alone, without torch or weights."""

from __future__ import annotations

from typing import Protocol

from fastflow_ray.models.catalogue import ModelCard, model_card
from fastflow_ray.pace import Wish, pace_of


class Application(Wish, Protocol):
    """What of a job decides it. `jobs.VideoJob` is one."""

    @property
    def model(self) -> str: ...
    @property
    def steps(self) -> int | None: ...


def admit(application: Application) -> ModelCard:
    """The model's card; raises UnknownModel, and InvalidInput for a pace that so many steps cannot have."""
    card = model_card(application.model)
    if pace := pace_of(application):
        pace.check(card.steps if application.steps is None else application.steps)
    return card
