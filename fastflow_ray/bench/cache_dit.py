"""Rows of the `cache-dit` package: DBCache, with its default setting, that of inference servers, and a grid."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from fastflow_ray.bench.method import LearnsNothing, Learnt, NotApplicable, Setting, blaming
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.bench.work import stacks


def _db(fn: int, warmup: int, in_a_row: int, threshold: float) -> Setting:
    """`fn` blocks always run and tell the change; nothing is cached in the `warmup` steps; -1: no limit in a row."""
    limit = f" MC{in_a_row}" if in_a_row > 0 else ""
    values = {
        "Fn_compute_blocks": fn,
        "max_warmup_steps": warmup,
        "max_continuous_cached_steps": in_a_row,
        "residual_diff_threshold": threshold,
    }
    return Setting(f"F{fn} W{warmup}{limit} {threshold:g}", values)


DEFAULT = _db(8, 8, -1, 0.08)
SERVERS = _db(1, 4, 3, 0.24)
GRID = (_db(1, 8, -1, 0.08), _db(1, 4, 3, 0.12), SERVERS, _db(1, 4, 5, 0.35), _db(1, 2, 12, 0.8))


@dataclass(frozen=True)
class CacheDit(LearnsNothing):
    """DBCache, with or without its TaylorSeer calibrator."""

    name: str
    grid: tuple[Setting, ...]
    taylorseer_order: int = 0  # 0: the last residual as it is

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """The grid, whatever the budgets."""
        if find_spec("cache_dit") is None:
            raise NotApplicable('not installed: pip install ".[bench]"')
        return list(self.grid)

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """The cache on the pipeline, on the reference's grid."""
        _check(stage, setting)
        import cache_dit

        _hush()
        with blaming("cache-dit"), stage.scheduled(stage.flow_euler(regime)):
            config = cache_dit.DBCacheConfig(
                num_inference_steps=regime.steps, enable_separate_cfg=regime.branches == 2, **setting.values
            )
            cache_dit.enable_cache(stage.pipe, cache_config=config, calibrator_config=self._calibrator(cache_dit))
            try:
                yield regime.steps
            finally:
                cache_dit.disable_cache(stage.pipe)

    def _calibrator(self, cache_dit: Any) -> Any:
        order = self.taylorseer_order
        return cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=order) if order else None


def _hush() -> None:
    """Each of its modules logs to the terminal with a logger of its own."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("cache_dit"):
            logging.getLogger(name).setLevel(logging.ERROR)


def _check(stage: Stage, setting: Setting) -> None:
    blocks = sum(len(stack) for stack in stacks(stage.transformers[0]).values())
    first = setting.values["Fn_compute_blocks"]
    if first >= blocks:
        raise NotApplicable(f"its first {first} blocks always run, and this transformer has {blocks}")


CACHE_DIT = (
    CacheDit("cache-dit-default", (DEFAULT,)),
    CacheDit("cache-dit", GRID),
    CacheDit("cache-dit-taylorseer", GRID, taylorseer_order=1),
)
