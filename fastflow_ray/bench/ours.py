"""The row of the learned plan: `FastFlow.attach(pipe, evaluations=n)` after some generations of learning."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

from fastflow_ray.bench import subject
from fastflow_ray.bench.method import Learnt, NotApplicable, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.fastflow import FastFlow


@dataclass(frozen=True)
class LearnedPlan:
    """As many evaluations as a budget leaves, where what was learnt says."""

    learning: int
    name: str = "ours"

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """A setting per budget; each learns for itself."""
        if "evaluations" not in signature(FastFlow.attach).parameters:
            raise NotApplicable("this version's `attach` takes no budget")
        if not self.learning:
            raise NotApplicable("its first generation evaluates every step; let it learn from some")
        counts = sorted({regime.evaluations(speedup) for speedup in budgets}, reverse=True)
        return [Setting(f"{count} evaluated", {"evaluations": count}, learns_alone=True) for count in counts]

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """Generations of other prompts; the first evaluates every step, and audits count as the work they are."""
        fastflow, evaluations = FastFlow(), 0.0
        with stage.scheduled(stage.flow_euler(regime)), _attached(fastflow, stage, setting):
            for each in subject.learning(self.learning):
                evaluations += stage.rehearse(each, regime)
        return Learnt(fastflow, evaluations)

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """Every measured generation decides from what the learning ones left, and not from each other."""
        fastflow: FastFlow = copy.deepcopy(learnt.state)
        with stage.scheduled(stage.flow_euler(regime)), _attached(fastflow, stage, setting):
            yield regime.steps


def _attached(fastflow: FastFlow, stage: Stage, setting: Setting) -> Any:
    attach: Any = fastflow.attach
    return attach(stage.pipe, evaluations=setting.values["evaluations"])
