"""Which machine, versions and weights figures are of, and what has to be equal for an old figure to stand."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastflow_ray.bench.stage import Stage

PACKAGES = ("fastflow-ray", "torch", "diffusers", "transformers", "cache-dit")
OF_THIS_CODE = ("ours", "fastflow", "fastflow-uniform")  # methods whose figures change as this package is worked on
ROOMS = (  # that they are made of
    "*.py", "sampling/*.py", "planning/*.py", "bandit/*.py", "models/*.py", "checkpoints/*.py",
    "bench/ours.py", "bench/step_skipping.py",
)  # fmt: skip
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Stamp:
    """Measurements of equal stamps may be shown together."""

    common: str  # weights, versions of packages, device, threads
    code: str  # this package's own, within one version

    def of(self, method: str) -> str:
        """The peers' figures stand when our code changes."""
        return f"{self.common}-{self.code}" if method in OF_THIS_CODE else self.common


def facts(stage: Stage) -> dict[str, Any]:
    """As JSON values."""
    model = {"model": stage.engine.model, "revision": stage.engine.revision, "device": stage.engine.versions["device"]}
    return {**circumstances(), **model}


def circumstances() -> dict[str, Any]:
    """The part of the facts that is of no model, as JSON values."""
    import torch

    return {
        "command": shlex.join(["fastflow-ray", *sys.argv[1:]]),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
        "threads": torch.get_num_threads(),
    }


def stamp(known: Mapping[str, Any], package: Path = PACKAGE) -> Stamp:
    """Of these facts and the code as it is in the folder `package`."""
    same = {name: known[name] for name in ("revision", "device", "versions", "machine", "threads")}
    return Stamp(_digest(json.dumps(same, sort_keys=True).encode()), _digest(*_sources(package)))


def _sources(package: Path) -> list[bytes]:
    return [path.read_bytes() for room in ROOMS for path in sorted(package.glob(room))]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
