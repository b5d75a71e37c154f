"""A checkpoint as bytes: one safetensors file whose metadata say in JSON what else there is, and vouch for all of it.

Bytes come from a store that anybody may have written to. They are read by safetensors and by JSON, which run nothing,
and only what passes the checksum, is of this version and was made for this very job is believed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from fastflow_ray.checkpoints.checkpoint import Checkpoint
from fastflow_ray.checkpoints.passport import Passport
from fastflow_ray.errors import UnusableCheckpoint
from fastflow_ray.sampling.state import State

FORMAT = "fastflow-ray checkpoint"
VERSION = 1
LENGTH_BYTES = 8  # of a safetensors file: how long its header is
MACHINE = "machine."  # prefix of the machine's tensors
# What reading has been seen to raise over bytes that are no checkpoint.
BROKEN = (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError, RecursionError)


def write_checkpoint(checkpoint: Checkpoint, passport: Passport) -> bytes:
    """The checkpoint, whose tensors have to be in this machine's memory, as the content of one file."""
    tensors = {MACHINE + name: tensor for name, tensor in checkpoint.machine.tensors.items()}
    tensors["latents"] = checkpoint.latents
    if checkpoint.generator is not None:
        tensors["generator"] = checkpoint.generator
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    facts = json.dumps(
        {
            "passport": passport.to_dict(),
            "grid": checkpoint.grid,
            "machine": checkpoint.machine.facts,
            "policy": checkpoint.policy,
        },
        allow_nan=False,
    )
    metadata = {"format": FORMAT, "version": str(VERSION), "facts": facts, "sha256": _sha256(facts, tensors)}
    return bytes(save(tensors, metadata))


def read_checkpoint(blob: bytes, passport: Passport) -> Checkpoint:
    """What `write_checkpoint` wrote; raises UnusableCheckpoint, saying why, for anything else, and for the checkpoint
    of another job, model or software."""
    try:
        facts, tensors = _opened(blob)
        if differences := passport.differences(facts["passport"]):
            raise UnusableCheckpoint(f"it was made for, or by, another {', '.join(differences)}")
        machine = {name.removeprefix(MACHINE): t for name, t in tensors.items() if name.startswith(MACHINE)}
        return Checkpoint(
            grid=str(facts["grid"]),
            latents=tensors["latents"],
            machine=State(machine, dict(facts["machine"])),
            policy=dict(facts["policy"]),
            generator=tensors.get("generator"),
        )
    except BROKEN as damage:
        raise UnusableCheckpoint(f"it is damaged: {type(damage).__name__}") from damage


def _opened(blob: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts and tensors, the checksum having been found right."""
    length = int.from_bytes(blob[:LENGTH_BYTES], "little")
    metadata = json.loads(blob[LENGTH_BYTES : LENGTH_BYTES + length])["__metadata__"]
    if metadata["format"] != FORMAT:
        raise UnusableCheckpoint("it is no checkpoint")
    if metadata["version"] != str(VERSION):
        raise UnusableCheckpoint(f"it is of version {metadata['version'][:20]!r}, and this software reads {VERSION}")
    facts, tensors = metadata["facts"], load(blob)
    if metadata["sha256"] != _sha256(facts, tensors):
        raise UnusableCheckpoint("its checksum is wrong")
    read: dict[str, Any] = json.loads(facts)
    return read, tensors


def _sha256(facts: str, tensors: Mapping[str, Tensor]) -> str:
    """Over the facts, and over the name, kind and content of every tensor."""
    digest = hashlib.sha256(f"{VERSION}\0{len(facts)}\0{facts}".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
