"""Measurements nobody made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastflow_ray.bench.facts import Stamp
from fastflow_ray.bench.measurement import Measurement
from fastflow_ray.bench.regime import Regime

NOW = Stamp("now", "this code")
REGIME = Regime(3.0, 3.0, 50)
ANY = Measurement(REGIME, "peer", 0, "threshold 1", "a red circle", 0, 20.0, 1.0, 0.9, 40.0, 0.9, 45.0, 0.0)


def measured(**changes: Any) -> Measurement:
    return replace(ANY, **changes)


def on_prompts(setting: str, evaluations: float, *decibels: float, method: str = "peer") -> list[Measurement]:
    """One measurement per prompt."""
    return [
        measured(method=method, setting=setting, evaluations=evaluations, seed=seed, psnr_db=psnr_db)
        for seed, psnr_db in enumerate(decibels)
    ]
