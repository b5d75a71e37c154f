"""Rows of diffusers' own caches: the network is called on every step and reuses or predicts what is inside it.

Each has a fixed grid of settings, from careful to bold, that gives a curve of work and fidelity; diffusers' defaults
are among them where they skip anything here. A peer that breaks, or mixes up the branches of guidance, raises
NotApplicable; that one did nothing is not seen here but by the work it left.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    SeaCacheConfig,
    TaylorSeerCacheConfig,
)
from torch import float32

from fastflow_ray.bench import subject
from fastflow_ray.bench.method import Learnt, Method, NotApplicable, Setting, blaming
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage

PARTS = r"blocks\.\d+\.(attn\d|attn|ffn|ff)"  # a block's attentions and its feed-forward, whose outputs are predicted
AFTER_THE_FIRST = (-1, 990)  # timesteps: before it has computed once, FasterCache has nothing to reuse


@dataclass(frozen=True)
class FeatureCache:
    """One configuration class of diffusers and the grid of its values."""

    name: str
    grid: tuple[dict[str, Any], ...]
    config: Callable[[Stage, Regime, dict[str, Any], Any], Any]  # (…, a grid's values, what was learnt)
    learn_from: Callable[[Stage, Regime], Learnt] | None = None
    branches_at_most: int = 2

    @property
    def learning(self) -> int:
        """Calibration, for those that have one."""
        return 1 if self.learn_from else 0

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """The grid, whatever the budgets."""
        if regime.branches > self.branches_at_most:
            raise NotApplicable("keeps one cache for both branches of guidance, which this pipeline runs one by one")
        return [Setting(_label(values), values) for values in self.grid]

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """The same for all settings."""
        with blaming("diffusers"):
            return self.learn_from(stage, regime) if self.learn_from else Learnt()

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """The cache on every transformer of the pipeline, on the reference's grid."""
        config = self.config(stage, regime, dict(setting.values), learnt.state)
        with blaming("diffusers"), stage.scheduled(stage.flow_euler(regime)), _enabled(stage, config):
            yield regime.steps


@contextmanager
def _enabled(stage: Stage, config: Any) -> Iterator[None]:
    try:
        for transformer in stage.transformers:
            transformer.enable_cache(config)
        yield
    finally:
        for transformer in stage.transformers:
            if transformer.is_cache_enabled:
                transformer.disable_cache()
            _unhook(transformer)


def _unhook(transformer: Any) -> None:
    """Take off what a cache left that could not be put on whole: it would stay in the way of all others."""
    for module in transformer.modules():
        registry: Any = getattr(module, "_diffusers_hook", None)
        while registry and registry.hooks:
            registry.remove_hook(next(iter(registry.hooks)), recurse=False)


def _label(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _first_block(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return FirstBlockCacheConfig(threshold=values["threshold"])


def _sea(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return SeaCacheConfig(threshold=values["threshold"], max_consecutive_cached=values["in a row"])


def _mag(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return MagCacheConfig(
        threshold=values["threshold"],
        max_skip_steps=values["in a row"],
        retention_ratio=values["retention"],
        num_inference_steps=regime.steps,
        mag_ratios=learnt,
    )


def _mag_ratios(stage: Stage, regime: Regime) -> Learnt:
    """From the calibration run that MagCache asks for; it prints the ratios of each branch, the conditional first."""
    printed = io.StringIO()
    config = MagCacheConfig(calibrate=True, num_inference_steps=regime.steps)
    with stage.scheduled(stage.flow_euler(regime)), _enabled(stage, config), redirect_stdout(printed):
        evaluations = stage.rehearse(subject.learning(1)[0], regime)
    lists = [json.loads(line) for line in printed.getvalue().splitlines() if line.startswith("[1.0")]
    if not lists:
        raise NotApplicable("its calibration printed no ratios")
    return Learnt(lists[0], evaluations)


def _taylor(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return TaylorSeerCacheConfig(
        cache_interval=values["interval"],
        max_order=values["order"],
        cache_identifiers=[PARTS],
        taylor_factors_dtype=float32,
    )


def _taylor_lite(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return TaylorSeerCacheConfig(
        cache_interval=values["interval"],
        max_order=values["order"],
        use_lite_mode=True,
        taylor_factors_dtype=float32,
    )


def _pyramid(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=values["spatial"],
        cross_attention_block_skip_range=values["cross"],
        current_timestep_callback=lambda: int(stage.pipe.current_timestep),
    )


def _faster(stage: Stage, regime: Regime, values: dict[str, Any], learnt: Any) -> Any:
    return FasterCacheConfig(
        spatial_attention_block_skip_range=values["spatial"],
        spatial_attention_timestep_skip_range=AFTER_THE_FIRST,
        attention_weight_callback=lambda module: 0.5,
        is_guidance_distilled=True,
        current_timestep_callback=lambda: int(stage.pipe.current_timestep),
    )


def _grid(**columns: Sequence[float]) -> tuple[dict[str, Any], ...]:
    """Settings by columns, read across."""
    rows = zip(*columns.values(), strict=True)
    return tuple({name.replace("_", " "): value for name, value in zip(columns, row, strict=True)} for row in rows)


FEATURE_CACHES: tuple[Method, ...] = (
    FeatureCache("first-block", _grid(threshold=(0.05, 0.08, 0.12, 0.18, 0.3)), _first_block),
    FeatureCache("seacache", _grid(threshold=(0.1, 0.15, 0.25, 0.25, 0.4, 0.6), in_a_row=(2, 3, 2, 4, 6, 8)), _sea),
    FeatureCache(
        "magcache",
        _grid(
            threshold=(0.03, 0.06, 0.12, 0.24, 0.5),
            in_a_row=(2, 3, 4, 6, 8),
            retention=(0.2, 0.2, 0.2, 0.1, 0.1),
        ),
        _mag,
        learn_from=_mag_ratios,
    ),
    FeatureCache("taylorseer", _grid(interval=(2, 3, 4, 5, 7), order=(1, 1, 1, 1, 1)), _taylor),
    FeatureCache("taylorseer-lite", _grid(interval=(2, 3, 4, 5, 7), order=(1, 1, 1, 1, 1)), _taylor_lite),
    FeatureCache("pab", _grid(spatial=(2, 3, 4), cross=(2, 4, 6)), _pyramid, branches_at_most=1),
    FeatureCache("fastercache", _grid(spatial=(2, 3, 4)), _faster, branches_at_most=1),
)
