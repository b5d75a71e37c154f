"""The row of the learned plan: `FastFlow.attach(pipe, evaluations=n)` after some generations of learning."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fastflow_ray.acceleration import Acceleration
from fastflow_ray.audited import generate
from fastflow_ray.bench import subject
from fastflow_ray.bench.method import Learnt, NotApplicable, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage, unheard
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.pace import Pace


@dataclass(frozen=True)
class LearnedPlan:
    """As many evaluations as a budget leaves, where what was learnt says."""

    learning: int
    name: str = "ours"

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """A setting per budget; each learns for itself."""
        if not self.learning:
            raise NotApplicable("its first generation evaluates every step; let it learn from some")
        counts = sorted({regime.evaluations(speedup) for speedup in budgets}, reverse=True)
        return [Setting(f"{count} evaluated", {"evaluations": count}, learns_alone=True) for count in counts]

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """Generations of other prompts, as a worker makes them: the first evaluates every step, and audits count as the
        work they are."""
        fastflow, evaluations = FastFlow(), 0.0
        for each in subject.learning(self.learning):
            with stage.counting() as counted:
                pace = Pace(evaluations=setting.values["evaluations"])
                spec = replace(stage.spec(each, regime, regime.steps), acceleration=Acceleration.AUTO, pace=pace)
                generate(stage.engine, spec, fastflow, unheard, audit=None)
            evaluations += counted() / regime.branches
        return Learnt(fastflow, evaluations)

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """Every measured generation decides from what the learning ones left, and not from each other."""
        fastflow: FastFlow = copy.deepcopy(learnt.state)
        key = stage.engine.policy_key(stage.spec(subject.learning(1)[0], regime, regime.steps))
        with (
            stage.scheduled(stage.flow_euler(regime)),
            fastflow.attach(stage.pipe, key, evaluations=setting.values["evaluations"]),
        ):
            yield regime.steps
