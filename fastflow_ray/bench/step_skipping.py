"""Rows of FastFlow as published: its extrapolation with evaluations spread evenly, and its bandit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bench import subject
from fastflow_ray.bench.method import LearnsNothing, Learnt, NotApplicable, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage
from fastflow_ray.fastflow import FastFlow
from fastflow_ray.sampling.skip_policy import NoSkips

FEWEST = 3  # the first two steps and the last


class EvenSkips(NoSkips):
    """Evaluates steps 0 and 1, the last, and others evenly between; decides nothing by what it sees."""

    def __init__(self, steps: int, evaluations: int) -> None:
        """`evaluations` of `steps`, 3 at least."""
        gaps = evaluations - 2
        self.evaluated = [0, *(1 + round(place * (steps - 2) / gaps) for place in range(gaps + 1))]

    def choose(self, step: int, longest: int) -> int:
        """To the next of the evaluated steps."""
        return min(later for later in self.evaluated if later > step) - step - 1


class EvenFastFlow(FastFlow):
    """FastFlow with its bandit taken out."""

    def __init__(self, evaluations: int) -> None:
        super().__init__()
        self._evaluations = evaluations

    def _policy(self, key: Any, sigmas: Tensor, *call: Any) -> EvenSkips:  # type: ignore[override]  # the seam it has
        return EvenSkips(len(sigmas) - 1, self._evaluations)


class UniformFastFlow(LearnsNothing):
    """FastFlow's line through the last two velocities, over skips of even length."""

    name = "fastflow-uniform"

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """A setting per budget."""
        counts = sorted({max(FEWEST, regime.evaluations(speedup)) for speedup in budgets}, reverse=True)
        return [Setting(f"{count} evaluated", {"evaluations": count}) for count in counts]

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """Gate and scheduler of the library, with a policy that does not learn."""
        evaluations = setting.values["evaluations"]
        with stage.scheduled(stage.flow_euler(regime)), EvenFastFlow(evaluations).attach(stage.pipe):
            yield regime.steps


@dataclass(frozen=True)
class PublishedFastFlow:
    """FastFlow's bandit after some generations of learning. It knows no budget: one point, wherever that lies."""

    learning: int
    name: str = "fastflow"

    def settings(self, regime: Regime, budgets: Sequence[float]) -> list[Setting]:
        """One."""
        if not self.learning:
            raise NotApplicable("its first generation evaluates every step; let it learn from some")
        return [Setting("as published")]

    def learn(self, stage: Stage, regime: Regime, setting: Setting) -> Learnt:
        """The first generation is its calibration; the others pull arms."""
        fastflow, evaluations = FastFlow(), 0.0
        with stage.scheduled(stage.flow_euler(regime)), fastflow.attach(stage.pipe):
            for each in subject.learning(self.learning):
                evaluations += stage.rehearse(each, regime)
        return Learnt(fastflow.statistics, evaluations)

    @contextmanager
    def applied(self, stage: Stage, regime: Regime, setting: Setting, learnt: Learnt) -> Iterator[int]:
        """Every measured generation decides from what the learning ones left, and not from each other."""
        known: Statistics = learnt.state
        with stage.scheduled(stage.flow_euler(regime)), FastFlow(statistics=known).attach(stage.pipe):
            yield regime.steps
