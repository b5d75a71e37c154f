"""From a model's name to an engine on this machine's device. Knows no job and no fleet."""

from __future__ import annotations

import inspect
import platform
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
import transformers
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from safetensors import SafetensorError

from fastflow_ray.errors import DeviceLost, FastFlowError, ModelLoadFailed, UnknownModel
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import BUILT_IN, catalogue, model_card
from fastflow_ray.models.device import is_lost
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.revision import weights_revision

# What reading somebody's folder, or fetching it, has been seen to raise.
BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, SafetensorError)


class _NotFetched(OSError):
    """A model of the hub is not on this machine, and the hub gives none."""


def load_engine(model: str | ModelCard, device: str | None = None) -> DiffusersEngine:
    """Load a model by its card, its catalogue name, its folder or its hub id; on the GPU if there is one.

    Raises UnknownModel for what is none of these, ModelLoadFailed if the weights cannot be had or read, DeviceLost
    where that is because the device computes nothing.
    """
    card = _known(model) if isinstance(model, str) else model
    source = card.source if card else str(model)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    _be_quiet()
    try:
        folder = _folder(source)
        revision = weights_revision(folder)
        pipe = DiffusionPipeline.from_pretrained(folder, dtype=_dtypes(card, device), local_files_only=True)
        return DiffusersEngine(pipe.to(device), card or _card_of(pipe, source), revision, _versions(device))
    except BROKEN as error:
        if is_lost(torch.device(device)):
            raise DeviceLost(f"{device} computes nothing: {error}; go on on another device") from error
        raise _refusal(card, source, error) from error


def _known(model: str) -> ModelCard | None:
    """The card of a name, and none of a folder or a hub id; raises UnknownModel."""
    if _is_path(model) and not Path(model).is_dir():
        raise _nowhere(model, "there is no such folder")
    # The built-in ones first: a worker that was given its cards need not have the file of the others.
    return BUILT_IN.get(model) or (None if _is_place(model) else model_card(model))


def _refusal(card: ModelCard | None, source: str, error: Exception) -> FastFlowError:
    """Of a model that the catalogue names the name is right, whatever is wrong."""
    reason = shorten(str(error), 250, placeholder=" …")
    if isinstance(error, _NotFetched) and card is None:
        return _nowhere(source, f"there is no such folder, {reason}")
    return ModelLoadFailed(
        f"cannot load the model {card.name if card else source!r} from {source}: {reason};"
        " give a folder in diffusers' format, or check the network and the free memory"
    )


def _nowhere(model: str, why: str) -> UnknownModel:
    return UnknownModel(
        f"no model in {model}: {why}; name a folder in diffusers' format, a model of the hub as OWNER/NAME, or one of:"
        f" {', '.join(sorted(catalogue()))}"
    )


def _is_place(model: str) -> bool:
    return model not in ("", *catalogue()) and ("/" in model or Path(model).is_dir())  # Path("") is this folder


def _is_path(model: str) -> bool:
    """Whether it can be a folder's name only: that of a hub id has one slash, between two words."""
    return Path(model).is_absolute() or model.startswith((".", "~")) or model.count("/") > 1 or model.endswith("/")


def _folder(source: str) -> Path:
    """Where the files are, after fetching what the hub has and this machine has not."""
    if Path(source).is_dir():
        return Path(source)
    if _is_path(source):  # the catalogue's own, which is missing
        raise FileNotFoundError("there is no such folder")
    return _fetched(source)


def _fetched(source: str) -> Path:
    """Without diffusers' warning that the hub is away: what was fetched before will do, or we say what is wrong."""
    level = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    try:
        return Path(DiffusionPipeline.download(source))
    except OSError as missing:
        hub = missing.__cause__  # what it answered when it was asked for the model
        if hub is None or isinstance(missing, HfHubHTTPError):  # it has the model, but not a file that we need
            raise
        if isinstance(hub, RepositoryNotFoundError):
            answer = "has none of that name, or shows it to others only"
        else:
            answer = f"could not be asked: {str(hub).partition(chr(10))[0]}"
        raise _NotFetched(f"it was not fetched before, and the hub {answer}") from missing
    finally:
        diffusers_logging.set_verbosity(level)


def _dtypes(card: ModelCard | None, device: str) -> dict[str, torch.dtype]:
    """The card's dtype, except for the autoencoder: Wan's loses visible quality below float32."""
    default = "float32" if device == "cpu" else "bfloat16"
    return {"default": getattr(torch, card.dtype if card else default), "vae": torch.float32}


def _card_of(pipe: Any, source: str) -> ModelCard:
    """A card for a model that the catalogue does not know, from its pipeline's own defaults."""
    defaults = {name: p.default for name, p in inspect.signature(pipe.__call__).parameters.items()}
    scheduler = pipe.scheduler.config
    return ModelCard(
        name=Path(source).name.lower(),
        source=source,
        width=defaults["width"],
        height=defaults["height"],
        frames=defaults["num_frames"],
        fps=16,
        steps=defaults["num_inference_steps"],
        guidance=defaults["true_cfg_scale" if "true_cfg_scale" in defaults else "guidance_scale"],
        shift=scheduler.get("shift") or scheduler.get("flow_shift") or 1.0,
        max_sequence_length=defaults["max_sequence_length"],
    )


def _versions(device: str) -> dict[str, str]:
    packages = {
        name.replace("-", "_"): version(name) for name in ("fastflow-ray", "torch", "diffusers", "transformers")
    }
    named = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return packages | {"python": platform.python_version(), "device": f"{device} ({named})"}


def _be_quiet() -> None:
    """No progress bars on the standard error: a worker logs lines, and a terminal has bars of its own."""
    diffusers_logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
