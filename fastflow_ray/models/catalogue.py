"""The models a fleet can serve: where their weights are and their own defaults. Pure data; imports no torch.

Those that come with fastflow-ray stand here. Operators add theirs by a file (`own_models.py`), which the variable
FASTFLOW_MODELS names to whoever asks for the catalogue; workers of a fleet are told by the one who raises it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fastflow_ray.environment import ENVIRONMENT, MODELS
from fastflow_ray.errors import InvalidInput, UnknownModel
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.own_models import read_own_models

EMBEDDED = Path(__file__).parent / "checkpoints"

BUILT_IN: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard("shapes", str(EMBEDDED / "shapes"), 64, 64, 17, 8, 50, 3.0, 3.0, 128, "float32", 1024, 253),
        ModelCard("wan2.1-t2v-1.3b", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", 832, 480, 81, 16, 50, 5.0, 3.0, 512),
        ModelCard("wan2.1-t2v-14b", "Wan-AI/Wan2.1-T2V-14B-Diffusers", 1280, 720, 81, 16, 50, 5.0, 5.0, 512),
        ModelCard("wan2.2-t2v-a14b", "Wan-AI/Wan2.2-T2V-A14B-Diffusers", 1280, 720, 81, 16, 50, 4.0, 5.0, 512),
        ModelCard("hunyuanvideo", "hunyuanvideo-community/HunyuanVideo", 1280, 720, 61, 15, 50, 1.0, 7.0, 256),
    )
}


def catalogue() -> dict[str, ModelCard]:
    """Every model by its name, those of the operator's file behind the built-in ones; the file is read once.

    Raises InvalidInput for a mistake in the file.
    """
    return _read(own_models_file())


def own_models_file() -> Path | None:
    """The operator's, as the environment names it."""
    named = ENVIRONMENT.get(MODELS)
    return Path(named) if named else None


@cache
def _read(file: Path | None) -> dict[str, ModelCard]:
    return BUILT_IN | (read_own_models(file, BUILT_IN) if file else {})


def model_card(name: str) -> ModelCard:
    """The card of a model by its catalogue name; raises UnknownModel naming the ones there are, and how to add one."""
    try:
        return catalogue()[name]
    except KeyError:
        file = own_models_file()
        remedy = f"add it to {file}" if file else f"a file that {MODELS} names may add more"
        raise UnknownModel(f"{no_such_model(name)}; {remedy}") from None


def no_such_model(name: str) -> str:
    """What is said of a name that is none, also to those who can add no model."""
    return f"no model named {name!r}; there are: {', '.join(sorted(catalogue()))}"


def models_to_serve(names: Iterable[str] | None) -> tuple[str, ...]:
    """Each of these names once, in their order, or `shapes` where there is none; raises UnknownModel."""
    return tuple(model_card(name).name for name in dict.fromkeys(names or ("shapes",)))


def own_cards(names: Iterable[str]) -> tuple[ModelCard, ...]:
    """The cards of those of these models that do not come with fastflow-ray; raises UnknownModel."""
    return tuple(model_card(name) for name in names if name not in BUILT_IN)


def check_folders(names: Iterable[str]) -> None:
    """For who is to load them on this machine: raises InvalidInput where the folder of an operator's model is not."""
    for card in own_cards(names):
        if Path(card.source).is_absolute() and not Path(card.source).is_dir():
            where = own_models_file() or "the catalogue"
            raise InvalidInput(f"{where}: {card.name}: source: there is no folder {card.source} on this machine")
