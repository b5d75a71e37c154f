"""Rows that take fewer steps on the same shifted grid: flow-Euler, the multistep solvers diffusers has, FlowTurbo's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

from fastflow_ray.bench.flowturbo import PseudoCorrectorScheduler
from fastflow_ray.bench.method import LearnsNothing, Learnt, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage


@dataclass(frozen=True)
class Solver(LearnsNothing):
    """As many steps as a budget leaves, by one scheduler."""

    name: str
    scheduler: Callable[[Stage, Regime], Any]

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """A setting per budget."""
        counts = sorted({regime.evaluations(speedup) for speedup in budgets}, reverse=True)
        return [Setting(f"{steps} steps", {"steps": steps}) for steps in counts]

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """The scheduler in place of the pipeline's."""
        with stage.scheduled(self.scheduler(stage, regime)):
            yield setting.values["steps"]


def flow_euler(stage: Stage, regime: Regime) -> Any:
    """The reference's own scheduler."""
    return stage.flow_euler(regime)


def unipc(stage: Stage, regime: Regime) -> Any:
    """UniPC of order 2, as Wan's checkpoints ship it."""
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=regime.shift)


def dpm_solver(stage: Stage, regime: Regime) -> Any:
    """DPM-Solver++ of order 2, multistep."""
    return DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=regime.shift)


def flowturbo(stage: Stage, regime: Regime) -> Any:
    """FlowTurbo without its refiner."""
    return PseudoCorrectorScheduler.from_config(stage.flow_euler(regime).config)


SOLVERS = (
    Solver("euler", flow_euler),
    Solver("unipc", unipc),
    Solver("dpm++2m", dpm_solver),
    Solver("flowturbo", flowturbo),
)
