"""The file in which operators name models of their own: TOML, a table for each. Imports no torch.

    ["wan2.1-ours"]              # in quotes because of its dot
    source = "/models/ours"      # a folder in diffusers' format, or OWNER/NAME of the hub
    like = "wan2.1-t2v-1.3b"     # what is left out is as of this model, or of one above in the file
    shift = 5.0

Without `like` all is to be said but `dtype`, `longest_side` and `most_frames`. Whether the folder is there is asked
where the model is loaded: an API has no weights.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from fastflow_ray.complaints import in_words
from fastflow_ray.errors import InvalidInput
from fastflow_ray.models.card import ModelCard
from fastflow_ray.video_fields import MODEL, MODEL_IN_WORDS, Fps, Frames, Guidance, Shift, Side, Steps

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
NEEDED = [field.name for field in fields(ModelCard) if field.default is MISSING and field.name != "name"]


def _is_a_place(source: str) -> str:
    if not (_is_folder(source) or HUB_ID.fullmatch(source)):
        raise ValueError("neither a folder, which begins with / or ./ or ../, nor OWNER/NAME of the hub")
    return source


def _is_folder(source: str) -> bool:
    return source.startswith(("/", "./", "../"))


class _Table(BaseModel):
    """What may stand below a model's name."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    source: Annotated[str, AfterValidator(_is_a_place)]
    like: str | None = None
    width: Side | None = None
    height: Side | None = None
    frames: Frames | None = None
    fps: Fps | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    shift: Shift | None = None
    max_sequence_length: Annotated[int, Field(ge=1)] | None = None
    dtype: Literal["bfloat16", "float16", "float32"] | None = None
    longest_side: Side | None = None
    most_frames: Frames | None = None


def read_own_models(file: Path, built_in: Mapping[str, ModelCard]) -> dict[str, ModelCard]:
    """The cards of the file by name; raises InvalidInput that names the file, the model and the field."""
    cards: dict[str, ModelCard] = {}
    for name, table in _tables(file).items():
        try:
            cards[name] = _card(file.absolute().parent, name, table, {**built_in, **cards})
        except InvalidInput as wrong:
            raise InvalidInput(f"{file}: {wrong}") from None
    return cards


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read the models of {file}: {error.strerror}; correct FASTFLOW_MODELS") from None
    except ValueError as error:  # of TOML or UTF-8
        raise InvalidInput(f"cannot read the models of {file}: {error}") from None


def _card(beside: Path, name: str, table: Any, known: Mapping[str, ModelCard]) -> ModelCard:
    _check_name(name, table, known)
    try:
        said = _Table.model_validate(table).model_dump(exclude_none=True)
    except ValidationError as wrong:
        lines = (f"{_shown(one['loc'][0])}: {_in_our_words(one)}" for one in wrong.errors())
        raise InvalidInput(f"{name}: {'; '.join(lines)}") from None
    if _is_folder(said["source"]):
        said["source"] = str(beside / said["source"])
    card = _completed(name, said, known)
    for complaint in _contradictions(card):
        raise InvalidInput(f"{name}: {complaint}")
    return card


def _check_name(name: str, table: Any, known: Mapping[str, ModelCard]) -> None:
    if not re.fullmatch(MODEL, name):
        raise InvalidInput(f"{name!r} cannot name a model; {MODEL_IN_WORDS}")
    if not isinstance(table, dict):
        raise InvalidInput(f"{name}: is no table; what is said of a model stands below a line with its [NAME]")
    if whole := _cut_at_its_dots(name, table):
        raise InvalidInput(f'{name}: is a part of a name; put a name with dots in quotes: ["{whole}"]')
    if name in known:  # of the file's own none: TOML refuses a table that is there twice
        raise InvalidInput(f"{name}: comes with fastflow-ray and means the same everywhere; choose another name")


def _cut_at_its_dots(name: str, table: dict[str, Any]) -> str | None:
    """The name that TOML took for a table within a table."""
    for inner, below in table.items():
        if isinstance(below, dict):
            return _cut_at_its_dots(f"{name}.{inner}", below) or f"{name}.{inner}"
    return None


def _completed(name: str, said: dict[str, Any], known: Mapping[str, ModelCard]) -> ModelCard:
    like = said.pop("like", None)
    if like is not None:
        if like not in known:
            raise InvalidInput(f"{name}: like: no model {like!r} here or above; there are: {', '.join(sorted(known))}")
        said = asdict(known[like]) | said
    elif missing := [field for field in NEEDED if field not in said]:
        raise InvalidInput(
            f"{name}: {', '.join(missing)}: missing; say what is usual for the model, or take over what is left out"
            ' from another, as by like = "wan2.1-t2v-1.3b"'
        )
    return ModelCard(**said | {"name": name})


def _contradictions(card: ModelCard) -> Iterator[str]:
    for field, most in (("width", "longest_side"), ("height", "longest_side"), ("frames", "most_frames")):
        if getattr(card, field) > getattr(card, most):
            yield f"{field}: {getattr(card, field)} is above {most}, {getattr(card, most)}; raise that or lower this"


def _in_our_words(complaint: ErrorDetails) -> str:
    match complaint["type"]:
        case "missing":
            return "missing; name a folder in diffusers' format, or OWNER/NAME of the hub"  # source, as is no other
        case "extra_forbidden":
            near = get_close_matches(str(complaint["loc"][0]), _Table.model_fields, n=1)
            return "no such field" + (f"; did you mean {near[0]}?" if near else "")
        case _:
            return in_words(complaint)


def _shown(field: int | str) -> str:
    return str(field) if field in _Table.model_fields else repr(field)
